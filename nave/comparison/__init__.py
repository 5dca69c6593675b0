"""What two or more encoders make of the same images: pure functions on maps, centroids and prediction lines."""
