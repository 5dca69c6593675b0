"""Third-party modules, before those of nave: what a checked module imports is compiled anew, its bytecode ignored."""

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
