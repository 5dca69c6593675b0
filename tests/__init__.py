"""Third-party modules come first: what a checked module of nave imports is compiled anew, its bytecode passed over."""

# ruff: noqa: F401
import hydra
import jinja2
import lightning
import matplotlib.figure
import numba
import onnx
import scipy.stats
import sklearn.cluster
import timm.optim
import torch._dynamo
import torchmetrics.detection
import torchvision.transforms.v2
import wandb

import tests.helpers.checker  # pytest names it by its path, which Python must have imported
