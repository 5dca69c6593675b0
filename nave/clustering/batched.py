"""Lloyd's iterations of all images of a batch at once, on coefficients of the centroids and without the host.

The host is asked once in many iterations whether an image still moves. Until then an image that has converged stays as
it is. An image that needs a rare decision (a cluster is empty, or two centroids may coincide) pauses until the host
looks, and then continues as if it had not waited.
"""

from dataclasses import dataclass, fields
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int, UInt8
from torch import Tensor

from nave.clustering.gram import Points
from nave.clustering.interface import Clusters, coincident
from nave.clustering.lloyd import mean_variance, relocations
from nave.clustering.number import MAX_K
from nave.clustering.steps import first_maximum

OLDEST_TRITON = (3, 6)  # on which the kernels were tried
ACTIVE, PAUSED = 1, 2  # 0: done
FIRST_CHECK = 16  # iterations before the host first looks; then it looks after as many as there were, or after a pause


@dataclass(eq=False)
class State:
    """Where the iterations of every image are; changed in place."""

    coefficients: Float[Tensor, "B K M"]
    products: Float[Tensor, "B K M"]  # of the centroids with the points of the Gram matrix
    half_norms: Float[Tensor, "B K"]  # |c|^2 / 2; infinite where a centroid repeats an earlier one
    labels: UInt8[Tensor, "B H W"]
    status: Int[Tensor, " B"]
    iterations: Int[Tensor, " B"]
    changed: Int[Tensor, " B"]  # whether the last assignment changed a label

    @classmethod
    def start(cls, points: Points, coefficients: Float[Tensor, "B K M"]) -> "State":
        """Before the first iteration: no point has a label."""
        B, device = len(coefficients), coefficients.device
        products = points.gram.times(coefficients)
        return cls(
            coefficients=coefficients.contiguous(),
            products=products,
            half_norms=half_norms(points, coefficients, products),
            labels=torch.full((B, *points.composite.size), MAX_K, dtype=torch.uint8, device=device),
            status=torch.full((B,), ACTIVE, dtype=torch.int32, device=device),
            iterations=torch.zeros(B, dtype=torch.int32, device=device),
            changed=torch.ones(B, dtype=torch.int32, device=device),
        )

    def images(self, index: Int[Tensor, " b"]) -> "State":
        """Copies the state of some images."""
        return State(*(getattr(self, field.name)[index] for field in fields(self)))

    def put(self, index: Int[Tensor, " b"], part: "State") -> None:
        """Writes the state of some images."""
        for field in fields(self):
            getattr(self, field.name)[index] = getattr(part, field.name)


@dataclass(frozen=True)
class Assignment:
    """Labels, and the clusters' sizes and sums; the sums as coefficients."""

    labels: UInt8[Tensor, "B H W"]
    counts: Float[Tensor, "B K"]
    pooled: Float[Tensor, "B K M"]


@dataclass(frozen=True)
class Stop:
    """When an image is done, unless no label changes: by the centroids' squared movement or by the iterations."""

    moved: Float64[Tensor, " B"]
    iterations: int

    def images(self, index: Int[Tensor, " b"]) -> "Stop":
        """Selects images of the batch."""
        return Stop(self.moved[index], self.iterations)


@runtime_checkable
class Iterations(Protocol):
    """Runs iterations on one batch of points."""

    def assign(self, state: State) -> Assignment:
        """Assigns every point of every image to its nearest centroid, the lowest id at a tie."""
        ...

    def advance(self, state: State, iterations: int) -> None:
        """Runs at least so many iterations of every active image."""
        ...


@dataclass(frozen=True)
class TensorIterations:
    """Any composite on any device."""

    points: Points
    stop: Stop

    def assign(self, state: State) -> Assignment:
        """See :class:`Iterations`."""
        scores = self.points.upsample(state.products) - state.half_norms[:, :, None, None]
        return assignment(self.points, first_maximum(scores), state.half_norms.shape[1])

    def advance(self, state: State, iterations: int) -> None:
        """See :class:`Iterations`."""
        for _ in range(iterations):
            self._iterate(state)

    def _iterate(self, state: State) -> None:
        new, running = self.assign(state), state.status == ACTIVE
        changed = (new.labels != state.labels).flatten(1).any(1)
        state.changed = torch.where(running, changed.int(), state.changed)
        state.labels = torch.where(running[:, None, None], new.labels, state.labels)
        ready = running & (new.counts > 0).all(1)
        state.status = torch.where(running & ~ready, PAUSED, state.status)
        update(self.points, state, new, ready, self.stop)


def assignment(points: Points, labels: UInt8[Tensor, "B H W"], k: int) -> Assignment:
    """Counts and sums the points of every cluster."""
    clusters = torch.arange(k, device=labels.device, dtype=labels.dtype)
    masks = (labels[:, None] == clusters[:, None, None]).float()
    return Assignment(labels, masks.sum((2, 3)), points.pool(masks))


def update(points: Points, state: State, new: Assignment, ready: Bool[Tensor, " B"], stop: Stop) -> None:
    """Moves the centroids of the images that are ``ready`` to the means of their clusters; empty ones stay."""
    means = new.pooled / new.counts.clamp_min(1)[:, :, None]
    means = torch.where((new.counts > 0)[:, :, None], means, state.coefficients)
    products = points.gram.times(means)
    shift = ((means - state.coefficients).double() * (products - state.products)).sum((1, 2))
    iterations = state.iterations + 1
    done = (state.changed == 0) | (shift <= stop.moved) | (iterations >= stop.iterations)
    halves = half_norms(points, means, products)
    state.coefficients = torch.where(ready[:, None, None], means, state.coefficients)
    state.products = torch.where(ready[:, None, None], products, state.products)
    state.half_norms = torch.where(ready[:, None], halves, state.half_norms)
    state.iterations = torch.where(ready, iterations, state.iterations)
    state.status = torch.where(ready, (~done).int(), state.status)


def half_norms(
    points: Points, coefficients: Float[Tensor, "B K M"], products: Float[Tensor, "B K M"]
) -> Float[Tensor, "B K"]:
    """Computes ``|c|^2 / 2``, after centring; infinite where a centroid repeats an earlier one up to rounding."""
    repeats = coincident(points.gram.centroids(coefficients)).tril(-1).any(2)
    return ((coefficients * products).sum(2) / 2).masked_fill(repeats, torch.inf)


def iterate(
    points: Points, coefficients: Float[Tensor, "B K M"], max_iter: int = 300, tolerance: float = 0.0
) -> tuple[State, Iterations]:
    """Runs Lloyd's iterations, with the rules and arguments of :func:`nave.clustering.lloyd.iterate`."""
    limit = (
        tolerance * mean_variance(points.composite) if tolerance else coefficients.new_full((len(coefficients),), -1)
    )
    stop = Stop(limit.double(), max_iter)
    state, iterations = State.start(points, coefficients), choose(points, stop, coefficients.shape[1])
    count = total = min(FIRST_CHECK, max_iter)
    while True:
        iterations.advance(state, count)
        active, resumed = _look(points, state, stop)
        if not active:
            return state, iterations
        count, total = (1, total) if resumed else (total, 2 * total)


def choose(points: Points, stop: Stop, k: int) -> Iterations:
    """Chooses the fused kernels for few clusters of one bilinear or nearest grid on a GPU, else tensors."""
    fused = kernels(points.composite.device)
    return (fused and fused.FusedIterations.from_points(points, stop, k)) or TensorIterations(points, stop)


def kernels(device: torch.device) -> ModuleType | None:
    """Imports the kernels for a GPU; None where there is no GPU, or no Triton that compiles them."""
    available = device.type == "cuda" and triton_version() >= OLDEST_TRITON
    return import_module("nave.clustering.kernels_gpu") if available else None


def triton_version() -> tuple[int, ...]:
    """The installed Triton's major and minor version; empty without Triton."""
    if find_spec("triton") is None:
        return ()
    return tuple(map(int, version("triton").split(".")[:2]))


def _look(points: Points, state: State, stop: Stop) -> tuple[bool, bool]:
    """Continues images that have paused; returns whether any is active, and whether any had paused.

    The host waits here and nowhere else.
    """
    status = state.status.tolist()
    paused = [image for image, value in enumerate(status) if value == PAUSED]
    if paused:
        _resume(points, state, stop, torch.tensor(paused, device=state.status.device))
        status = state.status.tolist()
    return ACTIVE in status, bool(paused)


def _resume(points: Points, state: State, stop: Stop, index: Int[Tensor, " b"]) -> None:
    """Completes the iteration in which images have paused."""
    part, rest = state.images(index), points.images(index)
    new = relocate(rest, part, assignment(rest, part.labels, part.half_norms.shape[1]))
    update(rest, part, new, part.status == PAUSED, stop.images(index))
    state.put(index, part)


def relocate(points: Points, state: State, new: Assignment) -> Assignment:
    """Moves empty clusters to the points farthest from their centroids, as scikit-learn."""
    counts, pooled = new.counts.clone(), new.pooled.clone()
    centroids = points.gram.centroids(state.coefficients)
    for i, image in enumerate(points.composite.split()):
        labels = new.labels[i].flatten()
        for cluster, far in relocations(image, labels, new.counts[i], centroids[i]):
            point = points.images(torch.tensor([i])).coefficients(torch.tensor([[far]], device=counts.device))[0, 0]
            old = int(labels[far])
            counts[i, old] -= 1
            pooled[i, old] -= point
            counts[i, cluster], pooled[i, cluster] = 1, point
    return Assignment(new.labels, counts, pooled)


def finish(points: Points, state: State, iterations: Iterations) -> Clusters:
    """Assigns every point to the final centroids."""
    new = iterations.assign(state)
    norms = (state.coefficients.double() * state.products).sum(2)
    spread = (new.counts * norms - 2 * (state.products.double() * new.pooled).sum(2)).sum(1)
    inertia = (points.total_squared_norm() + spread).clamp_min(0)
    return Clusters(new.labels, points.gram.centroids(state.coefficients), inertia, state.iterations.long())
