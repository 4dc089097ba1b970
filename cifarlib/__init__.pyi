# The public names: what an experiment of a reader's own needs, from its images to its answers.

from .config import (
    BACKBONES as BACKBONES,
    BUDGETS as BUDGETS,
    RECIPES as RECIPES,
    Budget as Budget,
    Experiment as Experiment,
    Recipe as Recipe,
    grid as grid,
)
from .data.cifar100 import (
    ImageSet as ImageSet,
    load_cifar100 as load_cifar100,
    split_folds as split_folds,
)
from .data.folder import (
    read_picture as read_picture,
)
from .data.transforms import (
    eval_transform as eval_transform,
    policy_steps as policy_steps,
    train_transform as train_transform,
)
from .data.seeded import (
    seeded as seeded,
)
from .data.loader import (
    make_loader as make_loader,
)
from .models.backbones import (
    create_model as create_model,
)
from .models.normalization import (
    normalization_of as normalization_of,
)
from .models.anatomy import (
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
from .training.fit import (
    fit as fit,
)
from .training.callbacks import (
    BestWeights as BestWeights,
    Callback as Callback,
)
from .evaluation.predict import (
    frozen_features as frozen_features,
    predict as predict,
    tta as tta,
)
from .evaluation.heatmap import (
    grad_cam as grad_cam,
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
from .experiments.record import (
    Run as Run,
)
from .experiments.run import (
    run as run,
)
from .experiments.store import (
    find_run as find_run,
    load_published_model as load_published_model,
    load_runs as load_runs,
)
from .experiments.trained import (
    evidence_of as evidence_of,
    probabilities_of as probabilities_of,
    top5_of as top5_of,
    trained_runs as trained_runs,
)
from .experiments.labels import (
    run_label as run_label,
)

__version__: str
