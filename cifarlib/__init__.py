"""Which backbone learns CIFAR-100's tiny pictures best? The names the notebooks use, in the order they meet them."""

from . import plots
from .data import ImageSet, load_cifar100, split_folds
from .augment import eval_transform, make_loader, policy_steps, train_transform
from .models import BACKBONES, create_model, model_table
from .machine import Machine, choose_machine
from .training import RECIPES, evaluate, train_epoch
from .trainer import Trainer
from .evaluation import accuracy, calibration_error, most_confused, predict, superclass_confusion, top5, tta
from .statistics import mcnemar, wilson_interval
from .experiments import BUDGETS, COMPARED, Budget, Experiment, grid
from .records import Run, load_runs
from .results import comparison, largest_run, literature, measured_speeds, published_table, summary
from .running import collect_runs, run

__version__ = "0.1.0"
