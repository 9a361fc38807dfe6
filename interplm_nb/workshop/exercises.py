"""The exercises of all lessons, by name."""

from interplm_nb.workshop import controls, embedding, features, steering
from interplm_nb.workshop.exercise import Exercise

EXERCISES: dict[str, Exercise] = {
    **embedding.EXERCISES,
    **features.EXERCISES,
    **controls.EXERCISES,
    **steering.EXERCISES,
}
