"""What one training run is: every choice and number that can change its result, validated and hashable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bench.base.errors import BenchError
from bench.base.identity import identity, training_identity
from bench.base.needs import check_names, check_needs
from bench.base.parts import complete, full
from bench.base.registry import EUCLIDEAN, EVALUATOR, NONE, SINGLE, lookup
from bench.base.text_rules import TextRules

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Model(BaseModel):
    """Base of all settings: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Part(Model):
    """A registered part and its options, defaults filled in."""

    kind: str
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def absent(self) -> bool:
        """Whether the system does without this choice."""
        return self.kind == NONE

    def pair(self) -> tuple[str, dict[str, Any]]:
        """(kind, options), as the models' composer takes it."""
        return self.kind, self.options


class WeightedPart(Part):
    """A term of an objective, and the part that gives its weight at each step."""

    weight: Part


def _mapping(value: Any) -> Any:
    """The content of a part, which is a mapping once its short forms are written out."""
    if not isinstance(value, (dict, Part)):
        raise ValueError(f"expected the name of a part, or {{kind: name, option: value}}; found {value!r}")
    return value


def _evaluator(value: Any) -> Any:
    try:
        return _mapping(full(EVALUATOR, value))
    except BenchError as error:
        raise ValueError(error) from None


PartField = Annotated[Part, BeforeValidator(_mapping)]
TermField = Annotated[WeightedPart, BeforeValidator(_mapping)]
GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
EvaluatorField = Annotated[Part, BeforeValidator(_evaluator)]
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
TermName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Kind = Literal["adam", "sgd", "rmsprop"]
ClipBy = Literal["norm", "value"]


class Optimiser(Model):
    """Adam, plain gradient descent or RMSprop, with clipped gradients and a decaying rate.

    ``decay``: by ``steps``, at each multiple of ``decay_every`` after ``decay_after``; or on a ``plateau`` of
    the validation criterion, after ``decay_after``: once it has been above its reference at ``patience``
    validations in a row, the best weights are taken back, the rate decays and that value is the reference from
    then on, as is any value that is not above it; the last of ``most_decays`` ends the training (He et al.
    2019, released code). ``from-plateau``: likewise, but at the first plateau and at every validation from then
    on, and no weights are taken back (Kim et al. 2018, released code). ``betas`` are those of Adam,
    ``smoothing`` is that of RMSprop, ``epsilon`` that of both; ``sgd`` and ``rmsprop`` have no momentum.

    ``clip_by``: the gradients of all parameters are scaled together so that their ``norm`` is at most ``clip``, or
    each ``value`` of a gradient is cut off at minus and plus ``clip``.
    """

    kind: Kind = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    betas: tuple[Share, Share] = (0.9, 0.999)
    epsilon: float = Field(1e-8, gt=0)
    smoothing: Share = Field(0.99, description="of the mean of squares of RMSprop")
    clip: float = Field(30.0, gt=0, description="limit of the gradients")
    clip_by: ClipBy = "norm"
    decay: Literal["steps", "plateau", "from-plateau"] = "steps"
    decay_factor: float = Field(0.5, gt=0, le=1)
    decay_after: int = Field(30_000, ge=0, description="steps before which the rate does not decay")
    decay_every: Positive = Field(2_000, description="steps between two decays")
    patience: Positive = Field(2, description="validations above the reference before the rate decays")
    most_decays: Positive = Field(5, description="decays on plateaus after which training ends")

    def rate(self, step: int, decays: int = 0) -> float:
        """The learning rate used at ``step`` (1-based), on plateaus after ``decays`` decays."""
        if self.decay == "steps":
            last = step - 1  # the decay follows the step whose number is a multiple
            decays = max(last // self.decay_every - self.decay_after // self.decay_every, 0)
        return self.learning_rate * self.decay_factor**decays


class GroupSettings(Model):
    """The parameters of some modules, which are trained otherwise than the rest, or not at all.

    ``modules`` are names of modules of the model (``encoder``, ``branch.posterior``), or of the networks that a term
    owns (``terms.discrimination``). Parameters that are ``frozen`` stay as they are. Others are updated once a step,
    or as often as ``updates`` says: a number, or once for each of the ``owners`` that the embedding has in the
    released code of Wu et al. 2020 (encoder, decoder, twin decoder). What is null is as for the rest; with a ``clip``
    or a ``clip_by`` of its own a group is clipped by itself.
    """

    modules: tuple[str, ...] = Field(min_length=1)
    frozen: bool = False
    updates: Literal["owners"] | Positive = 1
    kind: Kind | None = None
    learning_rate: float | None = Field(None, gt=0)
    betas: tuple[Share, Share] | None = None
    smoothing: Share | None = None
    epsilon: float | None = Field(None, gt=0)
    clip: float | None = Field(None, gt=0)
    clip_by: ClipBy | None = None

    @model_validator(mode="after")
    def _frozen_is_not_trained(self) -> Self:
        if self.frozen and (self._own() or self.updates != 1):
            raise ValueError("a frozen group is not trained and takes no other settings than its modules")
        return self

    @property
    def apart(self) -> bool:
        """Whether it is clipped by itself."""
        return self.clip is not None or self.clip_by is not None

    def optimiser(self, rest: Optimiser) -> Optimiser:
        """Its optimiser: that of the ``rest`` but for what the group has of its own."""
        return rest.model_copy(update=self._own())

    def _own(self) -> dict[str, Any]:
        return self.model_dump(exclude={"modules", "frozen", "updates"}, exclude_none=True)


class WordDropout(Model):
    """How often the decoder does not see a word that it reads, go excepted: it sees padding in its place.

    The share of such words is 0 in the first ``every`` steps, rises by ``rise`` after each so many steps, and stays at
    ``most``: by 0.05 an epoch to 0.5 in Bahuleyan et al. 2019, whose released code has padding there too.
    """

    rise: Share
    every: Positive
    most: Share

    def share(self, step: int) -> float:
        """The share at ``step`` (1-based)."""
        return min(self.rise * ((step - 1) // self.every), self.most)


class Training(Model):
    """The budget of a run and how its best weights are chosen, on the validation split."""

    steps: Positive = 60_000
    batch: Positive = 32
    pool: Positive = Field(50, description="batches over which texts are sorted by length; 1: lengths mixed")
    equal_lengths: bool = Field(
        False,
        description="no batch mixes lengths: all texts are sorted, the last batch of a length may be smaller",
    )
    same_batches: bool = Field(
        False, description="the batches of an epoch are those of every other, in another order"
    )
    validate_every: Positive = 1_000
    keep: Literal["best", "last"] = Field(
        "best", description="the weights of the best validation, or those of the last step: no selection"
    )
    criterion: Literal["auto", "reconstruction"] = Field(
        "auto",
        description="validation loss by which weights are chosen and the rate decays on plateaus; auto: the NLL, or the"
        " reconstruction where the system has no density",
    )
    validation_samples: Positive = Field(10, description="importance samples per text")
    log_every: Positive = 100
    gradient_texts: Annotated[int, Field(ge=0)] = Field(
        128, description="validation texts on which gradient norms are measured at each validation"
    )
    ends: Literal["all", "short"] = Field(
        "all",
        description="end symbols that are learnt: of all texts, or only of those shorter than text.max_length, since"
        " longer ones were cut",
    )
    word_dropout: WordDropout | None = Field(None, description="words that the decoder does not see")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="type of the products; auto: bfloat16 where the device multiplies it faster"
    )


class Evaluation(Model):
    """How the finished run is measured on the test split."""

    samples: Positive = Field(
        100, description="importance samples per text for the NLL, codes per text for MI"
    )
    information_block: Positive = Field(513, description="texts per block of the paper's estimators of MI")
    reconstructions: Positive = Field(10, description="codes per text that are decoded greedily")
    prior_samples: Positive = 3200
    reverse_samples: Positive | None = Field(
        None, description="samples from the prior behind reverse perplexities; null: prior_samples"
    )
    gradient_batch: Positive = 16
    gradient_texts: Positive | None = Field(None, description="test texts for gradient norms; null: all")
    longest: Positive = Field(200, description="words after which generation stops")
    examples: Positive = Field(20, description="reconstructions and samples shown in the report")
    measures: tuple[Name, ...] | None = Field(None, description="what is measured; null: all that apply")
    also: tuple[Name, ...] = Field((), description="measures beside these that are made only where named")
    evaluators: dict[Name, EvaluatorField] = Field(
        default_factory=dict,
        description="models that measure others, by the names under which measures need them",
    )

    def numbers(self) -> dict[str, Any]:
        """The settings that can change a number, but for defaults: not which measures there are, nor evaluators.

        These count by themselves: a measure that is added changes no other.
        """
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"measures", "also", "evaluators"})


class Initial(Model):
    """The bounds of uniform initial values; null: each layer's own, and N(0, 1) for the embedding.

    With ``vectors`` a word begins with its vector; the embedding of a word without one, and of the special symbols,
    has the value that it would have without them. They stay only if a group of parameters is frozen that says so.
    """

    weights: float | None = Field(None, gt=0, description="of every parameter but the embedding")
    embedding: float | None = Field(None, gt=0)
    vectors: EvaluatorField | None = Field(
        None, description="what gives the words their vectors; null: nothing"
    )


class Start(Model):
    """The weights that a run begins with: those of some modules of another run on the same corpus and seed.

    ``identity`` is the training identity of that run: whatever changes it changes this one too.
    """

    system: Name
    modules: tuple[str, ...] = Field(min_length=1)
    identity: str
    lent: bool = Field(
        False, description="the modules serve to prepare alone: training begins with their initial values"
    )


class RunSettings(Model):
    """One training run, fully resolved."""

    tier: Name
    paper: Name
    corpus: Name
    system: Name
    seed: Annotated[int, Field(ge=0)]
    text: TextRules
    embedding: Positive
    latent: Positive
    encoder: PartField
    reads: FieldName | None = Field(
        None, description="the field that the encoder reads; null: as the rules of the texts say"
    )
    condition: PartField = Part(kind=NONE)
    posterior: PartField
    prior: PartField
    signal: PartField
    decoder: PartField
    coupling: PartField
    objective: dict[TermName, TermField]
    procedure: PartField
    initial: Initial = Initial()
    starts_from: Start | None = None
    optimiser: Optimiser
    groups: dict[GroupName, GroupSettings] = Field(default_factory=dict)
    training: Training
    evaluation: Evaluation

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Parts in full, with the options that their constructors take and the defaults of those."""
        try:
            return complete(values) if isinstance(values, dict) else values
        except BenchError as error:
            raise ValueError(error) from None

    @model_validator(mode="after")
    def _an_encoder_that_reads(self) -> Self:
        if self.reads is not None and self.encoder.absent:
            raise ValueError(f"reads is {self.reads!r}, but the system has no encoder that could read it")
        return self

    @model_validator(mode="after")
    def _a_length_at_which_texts_are_cut(self) -> Self:
        """Whoever learns the end symbols of short texts alone says which texts are short."""
        written = self.text.decodes
        rules = [self.text.of(written)] if written else [self.text, *self.text.fields.values()]
        if self.training.ends == "short" and any(one.max_length is None for one in rules):
            raise ValueError("training.ends is short, but text.max_length is null: no text is short then")
        return self

    @model_validator(mode="after")
    def _weights_to_take_back(self) -> Self:
        """What decays on a plateau takes the best weights back, so it keeps them."""
        if self.training.keep == "last" and self.optimiser.decay == "plateau":
            raise ValueError("training.keep is last, but a decay on a plateau takes the best weights back")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        """Each part gets from the others what it declares to need."""
        try:
            check_needs(self.used())
            check_names(self._options(), {"terms": self.objective, "groups": self.groups})
        except BenchError as error:
            raise ValueError(error) from None
        return self

    def used(self) -> Iterator[tuple[str, str]]:
        """(choice, kind) of every part that the run is made of: of its terms, of their weights and of its space."""
        for choice in SINGLE:
            part: Part = getattr(self, choice)
            if not part.absent:
                yield choice, part.kind
        for term in self.objective.values():
            yield "term", term.kind
            yield "weight", term.weight.kind
        yield "space", self.space
        if self.initial.vectors is not None:
            yield EVALUATOR, self.initial.vectors.kind

    def _options(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(choice, kind, options) of the parts that may name terms or groups."""
        yield "procedure", self.procedure.kind, self.procedure.options
        for term in self.objective.values():
            yield "term", term.kind, term.options

    @property
    def space(self) -> str:
        """The kind of space in which the codes are: that of the posterior."""
        return EUCLIDEAN if self.posterior.absent else lookup("posterior", self.posterior.kind).space

    def unended(self, field: str) -> int | None:
        """From how many words on the end symbol of a text of ``field`` is not learnt; None where all are."""
        return None if self.training.ends == "all" else self.text.of(field).max_length

    @property
    def conditions(self) -> tuple[str, ...]:
        """The fields of an example that the model is given by name, whatever text it writes."""
        condition = None if self.condition.absent else self.condition.options["field"]
        return tuple(field for field in (condition, self.reads) if field is not None)

    @property
    def name(self) -> str:
        """``tier/paper/corpus/system/seedN``: the folder of the run."""
        return f"{self.tier}/{self.paper}/{self.corpus}/{self.system}/seed{self.seed}"

    @property
    def start(self) -> str | None:
        """The name of the run whose weights this one begins with, if there is one."""
        if self.starts_from is None:
            return None
        return f"{self.tier}/{self.paper}/{self.corpus}/{self.starts_from.system}/seed{self.seed}"

    @property
    def identity(self) -> str:
        """Hash of all that can change its numbers: see :mod:`bench.base.identity`."""
        return identity(self)

    @property
    def training_identity(self) -> str:
        """Hash of all that can change its weights: see :mod:`bench.base.identity`."""
        return training_identity(self)

    def parts(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """(kind, options) of each choice of which a system names one part, and of the space of its codes."""
        return {choice: getattr(self, choice).pair() for choice in SINGLE} | {"space": (self.space, {})}
