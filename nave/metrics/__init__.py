"""How good a map is: box protocols, segmentation, and what can be said without labels."""

from nave.metrics.bootstrap import Score
from nave.metrics.class_iou import Matched, MatchedClassIoU
from nave.metrics.concepts import group_centroids
from nave.metrics.corloc import corloc_hits, corloc_per_class, corloc_per_size
from nave.metrics.nave_protocol import nave_hits
from nave.metrics.prediction import GroundTruth, Prediction
from nave.metrics.protocols import differences, scores
from nave.metrics.segmentation import mean_scores, segmentation_scores
from nave.metrics.unlabelled import cluster_balance, spatial_coherence, stability

__all__ = [
    "GroundTruth",
    "Matched",
    "MatchedClassIoU",
    "Prediction",
    "Score",
    "cluster_balance",
    "corloc_hits",
    "corloc_per_class",
    "corloc_per_size",
    "differences",
    "group_centroids",
    "mean_scores",
    "nave_hits",
    "scores",
    "segmentation_scores",
    "spatial_coherence",
    "stability",
]
