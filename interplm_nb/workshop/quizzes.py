"""The right letters of the quizzes, by lesson and question. The questions are in the lessons."""

from interplm_nb.workshop.exercise import Question

QUIZZES = {
    3: {
        1: Question("b", "precision divides by the residues where the feature is active."),
        2: Question("c", "look at what the random SAE has that a trained one has too."),
        3: Question("a", "why are there validation proteins and test proteins?"),
        4: Question("b", "count the real labels as one of the draws."),
        5: Question("d", "which part of the lesson changed something in the model?"),
    },
}
