"""The Lightning module: an encoder that learns."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import timm.optim
import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nave.data.seed import seed_of
from nave.encoder import Encoder
from nave.training.classifier import Classifier, metrics
from nave.training.schedule import warm_cosine
from nave.training.scheme import Scheme
from nave.training.targets import Targets


class Trainee(LightningModule):
    """Trains ``encoder.network`` by ``scheme``.

    Where labels are known, a linear classifier learns along: it trains the encoder if the scheme has no loss of its
    own, and else only tells how well the classes can be read off the features.

    Args:
        optimizer: ``torch.optim`` class with its options.
        warmup: share of the steps in which the learning rate rises.
        ema: decay of the averaged weights, which are then validated and kept; None for none.
        label_smoothing: of the cross entropy.
        seed: of heads and dropout.
    """

    def __init__(
        self,
        encoder: Encoder,
        scheme: Scheme,
        targets: Targets | None,
        optimizer: "partial[Optimizer]",
        *,
        warmup: float,
        ema: float | None,
        label_smoothing: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.encoder, self.scheme, self.optimizer, self.warmup, self.seed = encoder, scheme, optimizer, warmup, seed
        self.classifier = self.metrics = self.averaged = None
        if targets is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed_of(seed, "classifier"))
                self.classifier = Classifier(width(encoder), targets, label_smoothing)
            self.metrics = metrics(targets)
        if ema is not None:
            average = get_ema_multi_avg_fn(ema)
            self.averaged = AveragedModel(encoder.network, multi_avg_fn=average, use_buffers=True)
            self.averaged.requires_grad_(False)

    @property
    def result(self) -> nn.Module:
        """The network as it is kept: the averaged one where there is one."""
        network: nn.Module = self.encoder.network if self.averaged is None else self.averaged.module
        return network

    def training_step(self, batch: list[Any], batch_idx: int) -> Tensor:
        """The loss of one batch: views, and what their images show."""
        views, values = batch
        features, loss = self.scheme(self.encoder.network, [self.encoder.pixels(view) for view in views])
        if self.classifier is not None:
            logits = self.classifier(features if loss is None else features.detach())
            taught = self.classifier.loss(logits, values)
            loss = taught if loss is None else loss + taught
        if loss is None:
            raise ValueError("nothing to learn: the scheme needs labels")
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(values), sync_dist=True)
        return loss

    def validation_step(self, batch: list[Any], batch_idx: int) -> None:
        """Loss and metrics of the classifier on the result."""
        if self.classifier is None or self.metrics is None:
            return
        (view,), values = batch
        logits = self.classifier(self.result(self.encoder.pixels(view)))
        loss = self.classifier.loss(logits, values, smooth=False)
        self.log("validation/loss", loss, batch_size=len(values), sync_dist=True)
        self.metrics.update(logits, values)

    def on_validation_epoch_end(self) -> None:
        """Metrics in percent."""
        if self.metrics is None:
            return
        found: Mapping[str, Tensor] = self.metrics.compute()
        percent = {f"validation/{name}": 100 * value for name, value in found.items()}
        self.log_dict(percent, sync_dist=True)  # torchmetrics has gathered them: all processes have the same
        self.metrics.reset()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Dropout and the like depend on seed and step alone, so a training that was cut off goes on the same."""
        torch.manual_seed(seed_of(self.seed, "step", self.global_step, self.global_rank))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The average follows."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.encoder.network)

    def configure_optimizers(self) -> Any:
        """No weight decay for biases and norms."""
        decay = self.optimizer.keywords.get("weight_decay", 0.0)
        groups = timm.optim.param_groups_weight_decay(self, weight_decay=decay)  # type: ignore[attr-defined]
        optimizer = self.optimizer(groups)
        steps = int(self.trainer.estimated_stepping_batches)
        rate = partial(warm_cosine, steps=steps, warmup=round(self.warmup * steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, rate), "interval": "step"}}


def width(encoder: Encoder) -> int:
    """Of the pooled features that a classifier gets."""
    return int(encoder.network.head_hidden_size)  # type: ignore[arg-type]
