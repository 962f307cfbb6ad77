"""The data types of the page's questions."""

from typing import NamedTuple


class Point(NamedTuple):
    """What a claim says about a question.

    Each clause has its own subject and verb, because any of the others may be missing.
    A claim of several parts is contradicted if one of them is false. So ``false`` says
    that not all parts hold, and no more.

    Attributes:
      claim: the id of the claim.
      true, false: clauses: what follows if the claim is supported or contradicted.
      open: what is not known if the claim is undecided, after "whether".
      same: the clause if no part shows a difference that matters; "" if the claim has
        a part that cannot say so. The margins are added to it.
      name: what ``{}`` in the clauses stands for. Claims with the same clause are told
        in one, with all their names.
    """

    claim: str
    true: str
    false: str
    open: str
    same: str = ""
    name: str = ""


class Finding(NamedTuple):
    """A question, and where its answer is.

    Attributes:
      id: its address on the page, without its prefix.
      name: its entry in the list of contents.
      question: the question.
      points: what the claims say; those that are measured are the answer.
      figures: (run, figure): the first one that is on the page is shown.
      others: further claims about the question.
      metric: the metric of the figure that the question is about; "" if it is the
        figure's main one.
    """

    id: str
    name: str
    question: str
    points: tuple[Point, ...]
    figures: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    metric: str = ""
