"""A bag of words tells by its words what it has seen, and says the same each time."""

from openmmb.tasks.labelled import Labelled
from openmmb.training.classifier.bag import learn_bag

INSULT = frozenset({"insult"})
TEXTS = [
    *(Labelled(f"you are an oaf {at}", INSULT, "own") for at in range(60)),
    *(Labelled(f"i like dogs {at}", frozenset(), "own", ("hi",)) for at in range(60)),
]


def test_words_decide() -> None:
    judge = learn_bag(TEXTS)
    asked = [Labelled("what an oaf", INSULT, "own"), Labelled("dogs", frozenset(), "own")]
    scores, refused = judge(asked)
    assert scores[0] > 0.5 > scores[1]
    assert refused == [True, False]
    assert learn_bag(TEXTS)(asked)[0] == scores
    assert judge([]) == ([], [])
