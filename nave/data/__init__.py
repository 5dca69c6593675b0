"""Images and their ground truth: one file a data set, and one Lightning module around any of them."""
