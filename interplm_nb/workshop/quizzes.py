"""The right letters of the quizzes, by lesson and question. The questions are in the lessons."""

from interplm_nb.workshop.exercise import Question

QUIZZES = {
    1: {
        1: Question("c", "each residue has its own row; what is as long as the model is wide?"),
        2: Question("b", "compare C20 with C23 and C108 once more."),
        3: Question("d", "the shuffled model has learned nothing; what does it still see?"),
        4: Question("a", "in which direction does UniRep read, and what comes after the end?"),
        5: Question("b", "the cosine measures an angle."),
    },
    2: {
        1: Question("c", "it is about how many are not 0 at a time."),
        2: Question("a", "which cysteines does it leave out, and what could tell them apart?"),
        3: Question("b", "in part 2 one feature was clean at the top; was it further down?"),
        4: Question("d", "who makes annotations, and are they complete?"),
        5: Question("b", "how much of the variance do these sums explain?"),
    },
    3: {
        1: Question("b", "precision divides by the residues where the feature is active."),
        2: Question("c", "look at what the random SAE has that a trained one has too."),
        3: Question("a", "why are there validation proteins and test proteins?"),
        4: Question("b", "count the real labels as one of the draws."),
        5: Question("d", "which part of the lesson changed something in the model?"),
    },
    4: {
        1: Question("a", "what did the first draw say of the best detector?"),
        2: Question("c", "what happens to the best of three in a new draw?"),
        3: Question("b", "which part did shuffling take away, and which did it leave?"),
        4: Question("d", "look at the upper end of its interval."),
        5: Question("d", "which of them would differ from the steered one after any push?"),
    },
}
