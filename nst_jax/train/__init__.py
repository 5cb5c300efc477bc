"""Training networks: their parameters are what moves, by init / step and the host loop `fit`.

Whatever a network and its loss are, this loop runs it: a jitted step over all local devices,
checkpoints from which a killed run goes on as if it had never stopped, logs, sample sheets and
held-out losses.
"""

from nst_jax.train.adversarial import AdversarialConfig as AdversarialConfig
from nst_jax.train.adversarial import Generated as Generated
from nst_jax.train.adversarial import discriminate_by as discriminate_by
from nst_jax.train.adversarial import loss_of as loss_of
from nst_jax.train.adversarial import make_adversarial_trainer as make_adversarial_trainer
from nst_jax.train.against_paintings import make_painter_trainer as make_painter_trainer
from nst_jax.train.checkpoints import load_best as load_best
from nst_jax.train.datasets import NoBatches as NoBatches
from nst_jax.train.datasets import Stream as Stream
from nst_jax.train.datasets import zip_streams as zip_streams
from nst_jax.train.decoded_once import cut_batch as cut_batch
from nst_jax.train.divergence import TrainingDivergedError as TrainingDivergedError
from nst_jax.train.fit_network import Subject as Subject
from nst_jax.train.fit_network import Trained as Trained
from nst_jax.train.fit_network import fit_network as fit_network
from nst_jax.train.fit_network import make_network_trainer as make_network_trainer
from nst_jax.train.fit_network import make_network_transformation as make_network_transformation
from nst_jax.train.fitting import fit as fit
from nst_jax.train.gated import GatedConfig as GatedConfig
from nst_jax.train.gated import make_gated_trainer as make_gated_trainer
from nst_jax.train.patches import PaintedPatches as PaintedPatches
from nst_jax.train.patches import PatchStream as PatchStream
from nst_jax.train.patches import load_painted as load_painted
from nst_jax.train.patches import open_patch_stream as open_patch_stream
from nst_jax.train.reporting import Reporting as Reporting
from nst_jax.train.sharding import replicate as replicate
from nst_jax.train.sharding import shard as shard
from nst_jax.train.streams import Pair as Pair
from nst_jax.train.streams import check_pair as check_pair
from nst_jax.train.streams import choose_decoding as choose_decoding
from nst_jax.train.streams import describe_pictures as describe_pictures
from nst_jax.train.streams import load_fixed_batch as load_fixed_batch
from nst_jax.train.streams import open_pair_stream as open_pair_stream
from nst_jax.train.streams import open_stream as open_stream
from nst_jax.train.streams import stream_options as stream_options
from nst_jax.train.time_limit import TimeLimit as TimeLimit
from nst_jax.train.trainer import LossFn as LossFn
from nst_jax.train.trainer import Metrics as Metrics
from nst_jax.train.trainer import ModelState as ModelState
from nst_jax.train.trainer import State as State
from nst_jax.train.trainer import Terms as Terms
from nst_jax.train.trainer import Trainer as Trainer
from nst_jax.train.trainer import averaged_params as averaged_params
from nst_jax.train.trainer import make_trainer as make_trainer
from nst_jax.train.training_paper import Stage as Stage
from nst_jax.train.training_paper import TrainingPaper as TrainingPaper
from nst_jax.train.transformations import NOT_PLANNED as NOT_PLANNED
from nst_jax.train.transformations import Schedule as Schedule
from nst_jax.train.transformations import make_schedule as make_schedule
from nst_jax.train.transformations import make_transformation as make_transformation
