import torch

from nave.localization.localizer import Peer, evidence
from nave.localization.lost import Lost
from nave.localization.nave import ComponentLocalizer
from nave.localization.tokencut import TokenCut
from nave.localization.whole_image import WholeImage


def test_one_part_and_one_box():
    labels, found = WholeImage().partition(evidence(torch.zeros(1, 2, 2), (28, 28), (20, 25)))
    assert labels.shape == (20, 25)
    assert not labels.any()
    assert found.box == (0, 0, 25, 20)


def test_peers_need_no_clusters_and_nave_does():
    assert all(isinstance(peer, Peer) for peer in (WholeImage(), Lost(), TokenCut()))
    assert not isinstance(ComponentLocalizer(), Peer)
