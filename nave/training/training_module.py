"""The Lightning module that trains an encoder, and its callbacks."""

import logging
import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import timm.optim
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nave.data.seed import seed_of
from nave.encoder.encoder import Encoder
from nave.processes.distributed import is_rank_zero
from nave.training.classifier import Classifier, Targets, metrics
from nave.training.schemes import Scheme

log = logging.getLogger(__name__)


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    """The factor of the learning rate: rises linearly over ``warmup`` steps, then falls as half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class TrainingModule(LightningModule):
    """Trains the network of an encoder.

    If the classes are known, a linear classifier is trained too. It trains the encoder if the scheme has no loss of its
    own; otherwise it is a linear probe, without influence on the encoder. Of ``targets`` None is unknown; the options
    are those of ``conf/train.yaml``.
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
                self.classifier = Classifier(feature_width(encoder), targets, label_smoothing)
            self.metrics = metrics(targets)
        if ema is not None:
            average = get_ema_multi_avg_fn(ema)
            self.averaged = AveragedModel(encoder.network, multi_avg_fn=average, use_buffers=True)
            self.averaged.requires_grad_(False)

    @property
    def result(self) -> nn.Module:
        """The network to validate and to write: the averaged one if there is one."""
        network: nn.Module = self.encoder.network if self.averaged is None else self.averaged.module
        return network

    def training_step(self, batch: list[Any], batch_idx: int) -> Tensor:
        """The loss of one batch of views and targets."""
        views, values = batch
        features, loss = self.scheme(self.encoder.network, [self.encoder.pixels(view) for view in views])
        if self.classifier is not None:
            logits = self.classifier(features if loss is None else features.detach())
            classification = self.classifier.loss(logits, values)
            loss = classification if loss is None else loss + classification
        if loss is None:
            raise ValueError("there is no loss: the scheme needs labels")
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(values), sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Refuses a mean loss of the epoch that is NaN or infinite, before the checkpoint is written.

        Raises:
            ValueError: naming the learning rate.
        """
        loss = self.trainer.callback_metrics.get("train/loss")
        if loss is not None and not bool(loss.isfinite()):
            raise ValueError(
                f"optimizer.lr={self.optimizer.keywords.get('lr')}: the loss has become {float(loss)} in epoch "
                f"{self.current_epoch + 1}; give a lower learning rate"
            )

    def validation_step(self, batch: list[Any], batch_idx: int) -> None:
        """Loss and metrics of the classifier on the features of :attr:`result`; without one, the scheme's loss."""
        views, values = batch
        if self.classifier is None or self.metrics is None:
            _, loss = self.scheme(self.result, [self.encoder.pixels(view) for view in views])
            if loss is not None:
                self.log("validation/loss", loss, batch_size=len(values), sync_dist=True)
            return
        (view,) = views
        logits = self.classifier(self.result(self.encoder.pixels(view)))
        loss = self.classifier.loss(logits, values, smooth=False)
        self.log("validation/loss", loss, batch_size=len(values), sync_dist=True)
        self.metrics.update(logits, values)

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics in percent."""
        if self.metrics is None:
            return
        values: Mapping[str, Tensor] = self.metrics.compute()
        percent = {f"validation/{name}": 100 * value for name, value in values.items()}
        self.log_dict(percent, sync_dist=True)  # equal in all processes, since torchmetrics has gathered them
        self.metrics.reset()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seeds dropout and the like by seed and step, so that a resumed training gives the same weights."""
        torch.manual_seed(seed_of(self.seed, "step", self.global_step, self.global_rank))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Updates the averaged weights."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.encoder.network)

    def configure_optimizers(self) -> Any:
        """The optimizer, without weight decay for biases and norms, and the schedule of the learning rate."""
        decay = self.optimizer.keywords.get("weight_decay", 0.0)
        groups = timm.optim.param_groups_weight_decay(self, weight_decay=decay)  # type: ignore[attr-defined]
        optimizer = self.optimizer(groups)
        steps = int(self.trainer.estimated_stepping_batches)
        rate = partial(warmup_cosine, steps=steps, warmup=round(self.warmup * steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, rate), "interval": "step"}}


def feature_width(encoder: Encoder) -> int:
    """The number of pooled features that a classifier is given."""
    return int(encoder.network.head_hidden_size)  # type: ignore[arg-type]


class EpochLog(Callback):
    """Logs one line per epoch: losses, metrics, seconds."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the line, after validation."""
        start, self._start = self._start, time.perf_counter()
        figures = ", ".join(f"{name} {float(value):.4g}" for name, value in sorted(trainer.callback_metrics.items()))
        if is_rank_zero():
            line = "epoch %d/%s: %s (%.1f s)"
            log.info(line, trainer.current_epoch + 1, trainer.max_epochs, figures, self._start - start)


class EpochCheckpoint(Checkpoint):
    """Writes the state of the training after each epoch to one file, atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the checkpoint; Lightning calls Checkpoint callbacks last."""
        part = self.path.with_suffix(".part")
        trainer.save_checkpoint(part)
        if is_rank_zero():
            part.replace(self.path)


class Patience(EarlyStopping):
    """Early stopping on the validation loss that also holds after a resume."""

    def __init__(self, epochs: int) -> None:
        super().__init__("validation/loss", patience=epochs)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops at once if the patience was exhausted before the resume."""
        trainer.should_stop = self.wait_count >= self.patience
