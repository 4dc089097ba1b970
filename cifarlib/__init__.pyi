# The public names, in the order in which the notebooks meet them.

from .report import (
    plots as plots,
)
from .data.cifar100 import (
    ImageSet as ImageSet,
    load_cifar100 as load_cifar100,
    split_folds as split_folds,
)
from .lessons.twins import (
    exact_twins as exact_twins,
    is_learned_from as is_learned_from,
    near_twins as near_twins,
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
    block_table as block_table,
    filter_structure as filter_structure,
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
from .lessons.transfer_learning import (
    frozen_features as frozen_features,
    race as race,
    train_all as train_all,
    train_head as train_head,
)
from .evaluation.predict import (
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
from .config import (
    BACKBONES as BACKBONES,
    BUDGETS as BUDGETS,
    RECIPES as RECIPES,
    Budget as Budget,
    Experiment as Experiment,
    Recipe as Recipe,
    grid as grid,
)
from .experiments.record import (
    Run as Run,
)
from .experiments.store import (
    find_run as find_run,
    find_superseded as find_superseded,
    largest_run as largest_run,
    load_published_model as load_published_model,
    load_runs as load_runs,
    published_model_run as published_model_run,
)
from .experiments.run import (
    collect_runs as collect_runs,
    run as run,
)
from .published.read import (
    literature as literature,
    measured_batch_norm as measured_batch_norm,
    measured_speeds as measured_speeds,
    measured_weight_scale as measured_weight_scale,
    published_backbones as published_backbones,
    published_curve as published_curve,
    published_curves as published_curves,
    published_table as published_table,
)
from .experiments.labels import (
    run_label as run_label,
)
from .report.curve_tables import (
    against_published as against_published,
    distance_table as distance_table,
    distance_to_published as distance_to_published,
    finetuning_table as finetuning_table,
    overfitting as overfitting,
    overfitting_table as overfitting_table,
    pairs_of_ends as pairs_of_ends,
    pairs_of_starts as pairs_of_starts,
)
from .lessons.small_images import (
    fit_table as fit_table,
    trial_table as trial_table,
)
from .lessons.behind_the_numbers.scores import (
    batch_norm_table as batch_norm_table,
    machines as machines,
    memory_effect as memory_effect,
    memory_effects as memory_effects,
    part_and_whole as part_and_whole,
    score_intervals as score_intervals,
    seed_pairs as seed_pairs,
    tta_gains as tta_gains,
    validation_gaps as validation_gaps,
)
from .lessons.test_comparison.fair import (
    comparison_cells as comparison_cells,
    fair_pairs as fair_pairs,
    knob_table as knob_table,
    pairs_table as pairs_table,
    side_by_side as side_by_side,
)
from .lessons.test_comparison.costs import (
    cost_table as cost_table,
    training_costs as training_costs,
)
from .experiments.trained import (
    camera_picture as camera_picture,
    evidence_of as evidence_of,
    look_at as look_at,
    probabilities_of as probabilities_of,
    recorded_top5 as recorded_top5,
    top5_of as top5_of,
    trained_runs as trained_runs,
    upload_picture as upload_picture,
)
from .tools.explorer.write import (
    explorer_frame as explorer_frame,
    write_explorer as write_explorer,
)
from .lessons.data_exploration import (
    augmentation_explorer as augmentation_explorer,
    quiz as quiz,
)

__version__: str
