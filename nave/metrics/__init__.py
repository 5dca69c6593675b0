"""Metrics of maps: box protocols, segmentation, and measures that need no labels."""

from nave.metrics.bootstrap import Score
from nave.metrics.class_iou import group_centroids
from nave.metrics.prediction import Prediction
from nave.metrics.protocols import corloc_hits, corloc_per_class, corloc_per_size, nave_hits, scores
from nave.metrics.segmentation import mean_scores, segmentation_scores
from nave.metrics.unlabelled import cluster_balance, spatial_coherence, stability

PROTOCOLS = ("nave", "corloc", "ap50", "ar100")
FIGURES = (*PROTOCOLS, "miou", "object_miou", "class_miou", "ari", "nmi", "balance", "coherence", "stability")

__all__ = [
    "FIGURES",
    "PROTOCOLS",
    "Prediction",
    "Score",
    "cluster_balance",
    "corloc_hits",
    "corloc_per_class",
    "corloc_per_size",
    "group_centroids",
    "mean_scores",
    "nave_hits",
    "scores",
    "segmentation_scores",
    "spatial_coherence",
    "stability",
]
