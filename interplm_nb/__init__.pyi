# What `import interplm_nb as ipn` offers. This stub is the one list of these names: editors and
# type checkers read it, and __init__.py imports each name from its module when it is first used.

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.by_protein.classifier import LabelClassifier
from interplm_nb.concepts.by_protein.pool import PooledFeatures, pool
from interplm_nb.concepts.by_protein.rank import rank
from interplm_nb.concepts.count import count
from interplm_nb.concepts.links import ConceptLinks
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.embeddings import Embeddings
from interplm_nb.figures.glossary import glossary
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.run import Run
from interplm_nb.plm import load as load_plm
from interplm_nb.plm.store import embed_to as embed
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import Annotator, annotate
from interplm_nb.questions.discover import discover
from interplm_nb.questions.family import family as compare_family
from interplm_nb.questions.look import look
from interplm_nb.questions.probe import probes as probe
from interplm_nb.questions.sequence_features import SequenceFeatures
from interplm_nb.questions.steer import experiment as steer
from interplm_nb.readers.protein_labels import ProteinLabels, read_protein_labels
from interplm_nb.readers.read import read
from interplm_nb.sae.checkpoint import load as load_sae
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.encode import encode_to as encode
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.train import train
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.steering.steering_panel import SteeringPanel
from interplm_nb.widgets.workbench import Workbench, compare

__version__: str

__all__ = [
    "SAE",
    "Annotations",
    "Annotator",
    "ConceptLinks",
    "ConceptScores",
    "Embeddings",
    "FeatureActivations",
    "LabelClassifier",
    "PooledFeatures",
    "ProteinLabels",
    "Proteins",
    "Run",
    "SAEConfig",
    "Selection",
    "SequenceFeatures",
    "SequencePlayground",
    "SteeringPanel",
    "Workbench",
    "annotate",
    "compare",
    "compare_family",
    "count",
    "discover",
    "embed",
    "encode",
    "glossary",
    "load_plm",
    "load_sae",
    "look",
    "pool",
    "probe",
    "rank",
    "read",
    "read_protein_labels",
    "run_from_parts",
    "steer",
    "train",
]
