# The public names, in the order in which the notebooks meet them.

from .report import (
    plots as plots,
)
from .data.images import (
    ImageSet as ImageSet,
    load_cifar100 as load_cifar100,
    split_folds as split_folds,
)
from .data.augment import (
    eval_transform as eval_transform,
    policy_steps as policy_steps,
    train_transform as train_transform,
)
from .data.loader import (
    make_loader as make_loader,
)
from .models.backbones import (
    create_model as create_model,
)
from .models.anatomy import (
    idle_share as idle_share,
    map_sides as map_sides,
    model_table as model_table,
)
from .training.device import (
    Device as Device,
    choose_device as choose_device,
)
from .training.optim import (
    cosine as cosine,
)
from .training.loop import (
    evaluate as evaluate,
    train_epoch as train_epoch,
    train_one_epoch_plainly as train_one_epoch_plainly,
)
from .training.trainer import (
    Trainer as Trainer,
    fit as fit,
)
from .evaluation.predict import (
    predict as predict,
    tta as tta,
)
from .evaluation.metrics import (
    accuracy as accuracy,
    calibration_error as calibration_error,
    mcnemar as mcnemar,
    most_confused as most_confused,
    superclass_confusion as superclass_confusion,
    top5 as top5,
    wilson_interval as wilson_interval,
)
from .config import (
    BACKBONES as BACKBONES,
    BUDGETS as BUDGETS,
    COMPARED as COMPARED,
    RECIPES as RECIPES,
    Budget as Budget,
    Experiment as Experiment,
    Recipe as Recipe,
    grid as grid,
)
from .runs.record import (
    Run as Run,
)
from .runs.store import (
    find_run as find_run,
    find_superseded as find_superseded,
    largest_run as largest_run,
    load_runs as load_runs,
)
from .runs.run import (
    collect_runs as collect_runs,
    run as run,
)
from .report.published import (
    literature as literature,
    measured_batch_norm as measured_batch_norm,
    measured_speeds as measured_speeds,
    measured_weight_scale as measured_weight_scale,
    published_backbones as published_backbones,
    published_curve as published_curve,
    published_curves as published_curves,
    published_table as published_table,
)
from .report.tables import (
    against_published as against_published,
    comparison as comparison,
    distance_to_published as distance_to_published,
    overfitting as overfitting,
)

__version__: str
