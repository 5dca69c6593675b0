"""Metrics of maps: box protocols, segmentation, and measures that need no labels; here, the names of the scores."""

PROTOCOLS = ("nave", "corloc", "ap50", "ar100")
SCORES = (*PROTOCOLS, "miou", "object_miou", "class_miou", "ari", "nmi", "balance", "coherence", "stability")
