"""The agent: takes a turn, thinks, calls tools, and speaks as it thinks.

Everything it does for a turn carries the turn's epoch and ends with it. A tool starts only if the
session says that its turn is still alive; whatever was begun gets an answer in history, "cancelled"
if need be. Thoughts begun before a turn is over say and do nothing until it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import attrs

from actors.call.speaker import SpeechDelta, SpeechDone
from actors.call.team import Team
from actors.call.told_by_agent import (
    AgentHere,
    AnswerEnds,
    ChangeAgent,
    ModelFailed,
    Token,
    ToolNews,
    WantFloor,
)
from actors.call.tool_calling import TaskOver, ToolAdmitted, ToolCaller, ToolOver
from actors.call.work import Work, answered
from actors.machines.decisions import CutTurn, TakeTurn, Think, Unthink
from actors.machines.fallback import RETRY_AFTER, ROUNDS, Chain
from models.conversation import AgentSaid, Instruction, Item, ToolAnswered, UserSaid
from models.faults import FaultKind, ModelFault
from models.llm.protocol import (
    CancelGeneration,
    Generate,
    Generated,
    LlmMessage,
    TextDelta,
    ToolCallDelta,
)
from supervision import ActorRef, Wake, handles

GO_ON = "Your last words were cut off by a fault. Go on exactly where they end; repeat nothing."


@attrs.frozen
class GenerationOver:
    """A model has answered for a generation."""

    generation: str
    outcome: Generated | ModelFault


@attrs.frozen
class TryAgain:
    """Another round of the models is due."""

    work: Work


AgentMessage = (
    TakeTurn
    | CutTurn
    | Think
    | Unthink
    | TextDelta
    | ToolCallDelta
    | GenerationOver
    | ToolAdmitted
    | ToolOver
    | TaskOver
    | TryAgain
    | Wake
)


class Agent(ToolCaller):
    """Thinks for one call."""

    _speaker: ActorRef[SpeechDelta | SpeechDone]

    def __init__(
        self,
        call: str,
        models: tuple[str, ...],
        team: Team,
        apology: str,
        names: Iterator[int] | None = None,
    ) -> None:
        """`call` and `models` are paths; `names` numbers generations and tasks, over all lives."""
        super().__init__(team, names if names is not None else count(1))
        self._call = call
        self._model_paths = models
        self._models: tuple[ActorRef[LlmMessage], ...] = ()
        self._apology = apology
        self._chain = Chain(max(1, len(models)))
        self._turn: Work | None = None
        self._thought: Work | None = None
        self._cut_to = 0
        self._handed_to = ""
        """Who has the conversation since the last handoff; "" as the session says."""

    def on_start(self) -> None:
        self._session = self.system.ref(f"{self._call}/session")
        self._speaker = self.system.ref(f"{self._call}/speaker")
        self._models = tuple(map(self.system.ref, self._model_paths))
        self._session.tell(AgentHere())

    def on_stop(self) -> None:
        for work in self._works.values():
            if work.generating:
                self._models[work.model].tell(CancelGeneration(work.generation))

    def __repr__(self) -> str:
        doing = f"answering {self._turn.epoch}" if self._turn is not None else "idle"
        return f"<Agent: {doing}, {len(self._tasks)} tools run>"

    # -- turns ----------------------------------------------------------------------------

    @handles
    def on_think(self, message: Think) -> None:
        self._end_thought()
        context = [*message.history, UserSaid(message.text, 0, self.now, message.leg)]
        work = Work(context, self._handed_to or message.agent, thought=message.number)
        self._thought = work
        self._generate(work)

    @handles
    def on_unthink(self, message: Unthink) -> None:
        if self._thought is not None and self._thought.thought == message.number:
            self._end_thought()

    @handles
    def on_turn(self, message: TakeTurn) -> None:
        if message.epoch <= self._cut_to:
            self.stale += 1
            return
        thought = self._thought
        if thought is not None and thought.thought == message.thought:
            self._thought = None
            self._adopt(thought, message)
            return
        self._end_thought()
        if self._turn is not None:
            self._stop(self._turn)
        agent = self._handed_to or message.agent
        work = Work(list(message.history), agent, message.epoch, message.turn)
        self._turn = work
        self._generate(work)

    def _adopt(self, work: Work, message: TakeTurn) -> None:
        """The thought was right: what it holds back may be said and done now."""
        work.context = list(message.history)
        work.epoch, work.turn, work.thought = message.epoch, message.turn, 0
        self._turn = work
        if work.said:
            said, work.said = work.said, ""
            self._say(work, said)
        parked, work.parked = work.parked, []
        for call in parked:
            self._call_tool(work, call)
        if not work.generating:
            self._round_may_be_over(work)

    @handles
    def on_cut(self, message: CutTurn) -> None:
        self._cut_to = max(self._cut_to, message.epoch)
        work = self._turn
        if work is not None and work.epoch <= self._cut_to:
            self._turn = None
            self._stop(work)
            self._arm()
        self._end_thought()  # whatever it was founded on, this turn was part of it

    def _end_thought(self) -> None:
        work, self._thought = self._thought, None
        if work is not None:
            self._stop(work)

    def _stop(self, work: Work) -> None:
        """Everything about it ends; every call it made has an answer."""
        work.over = True
        if work.generating:
            self._models[work.model].tell(CancelGeneration(work.generation))
        self._works.pop(work.generation, None)
        work.generating = False
        for call in list(work.open.values()):
            task = self._tasks.get(call.id)
            if task is not None and not task[2]:
                continue  # it runs on; its answer is recorded when it comes
            if task is not None:
                del self._tasks[call.id]
                task[1].cancel()
            work.answers[call.id] = ToolAnswered(call.id, "cancelled", True, call.turn)
            if call.id in work.started:
                self._session.tell(ToolNews(call.id, call.name, "cancelled"))
        work.open.clear()
        for call in work.calls[work.recorded :]:
            answer = work.answers.get(call.id)
            if answer is not None and call.id in work.started:
                self._record(work, answer)
        work.recorded = len(work.calls)
        if work.handoff is not None:  # history says that it was accepted
            self._apply_handoff(work)

    # -- generating -----------------------------------------------------------------------

    def _generate(self, work: Work) -> None:
        index = self._chain.pick(self.now, work.tried) if self._models else None
        if index is None:
            self._give_up(work)
            return
        work.generation = f"{self._call}/g{next(self._names)}"
        work.model = index
        work.generating = True
        self._works[work.generation] = work
        profile = self._team.profile(work.agent)
        context: list[Item] = list(answered(work.context))
        if profile.instructions:
            context.insert(0, Instruction(profile.instructions))
        offered = self._team.offered(work.agent) if work.called < self._team.most_calls else ()
        generation, provider = work.generation, self._models[index].path
        request = Generate(generation, tuple(context), self.ref, offered, work.agent)
        self.pipe(
            self._models[index].ask(request, timeout=math.inf),
            to=lambda outcome: GenerationOver(generation, outcome),
            failed=lambda error: GenerationOver(generation, ModelFault.of_ask(provider, error)),
        )
        work.progress.stop()
        work.progress.asked(self.now)
        self._arm()

    def _work(self, generation: str) -> Work | None:
        work = self._works.get(generation)
        if work is None:
            self.stale += 1
        return work

    @handles
    def on_text(self, message: TextDelta) -> None:
        work = self._work(message.generation)
        if work is None or not message.text:
            return
        work.progress.came(self.now, more=True)
        self._arm()
        if work.thought or work.task:
            work.said += message.text
        else:
            self._say(work, message.text)

    def _say(self, work: Work, text: str) -> None:
        work.said += text
        work.all_said += text
        if not work.told_token:
            work.told_token = True
            self._session.tell(Token(work.epoch))
        self._speaker.tell(SpeechDelta(work.epoch, text))

    @handles
    def on_call(self, message: ToolCallDelta) -> None:
        work = self._work(message.generation)
        if work is None:
            return
        work.progress.came(self.now, more=True)
        self._arm()
        if work.thought:
            work.parked.append(message)
        else:
            self._call_tool(work, message)

    @handles
    def on_generated(self, message: GenerationOver) -> None:
        work = self._work(message.generation)
        if work is None:
            return
        work.generating = False
        work.progress.stop()
        self._arm()
        if isinstance(message.outcome, ModelFault):
            self._failed(work, message.outcome)
            return
        self._chain.succeeded(work.model)
        work.tried, work.rounds = frozenset(), 0
        if not work.thought:
            self._round_may_be_over(work)

    def _failed(self, work: Work, fault: ModelFault) -> None:
        """The next model goes on where this one stopped."""
        if not work.open:  # else its calls are still to be answered, under this name
            self._works.pop(work.generation, None)
        self._chain.failed(work.model, fault.kind, self.now, fault.retry_after)
        work.tried |= {work.model}
        all_failed = self._chain.pick(self.now, work.tried) is None
        given_up = all_failed and work.rounds + 1 >= ROUNDS
        self._session.tell(ModelFailed(work.epoch, fault, given_up))
        if work.thought:
            self._end_thought()  # the turn will ask again, if it comes to that
            return
        if work.open or work.calls:
            if not work.open:
                self._next_round(work)
            return
        if work.said and not work.task:
            if work.glue:
                self._say(work, work.glue)  # the next one begins with a word of its own
            work.context += [AgentSaid(work.said, work.turn, work.agent), Instruction(GO_ON)]
        work.said = ""
        if all_failed and not given_up:
            work.rounds += 1
            work.tried = frozenset()
            self.send_after(RETRY_AFTER, TryAgain(work))
        else:
            self._generate(work)

    @handles
    def on_try_again(self, message: TryAgain) -> None:
        work = message.work
        if work is self._turn or work.task:
            self._generate(work)

    def _give_up(self, work: Work) -> None:
        """Nobody answers: say so, and end the turn."""
        if work.task:
            self._report(work, "no model could do it", failed=True)
        elif work.thought:
            self._end_thought()
        else:
            self._say(work, work.glue + self._apology)
            self._finish(work)

    # -- rounds ---------------------------------------------------------------------------

    def _round_may_be_over(self, work: Work) -> None:
        if work.generating or work.open:
            return
        if work.calls:
            self._next_round(work)
        elif work.task:
            self._report(work, work.said, failed=False)
        else:
            self._finish(work)

    def _next_round(self, work: Work) -> None:
        """The model goes on with the answers to its calls, in the order in which it asked."""
        self._works.pop(work.generation, None)
        hung_up = work.close_round()
        handed_off = work.handoff is not None
        if handed_off:
            self._apply_handoff(work)
        if work.all_said and handed_off:
            self._finish(work)  # what one agent said is one utterance, and the next one's another
            self._session.tell(WantFloor("handoff"))
        elif work.all_said and hung_up:
            self._finish(work)  # it has said its goodbye
        else:
            self._generate(work)

    def _apply_handoff(self, work: Work) -> None:
        assert work.handoff is not None
        work.agent, reason = work.handoff
        work.handoff = None
        self._handed_to = work.agent
        self._session.tell(ChangeAgent(work.epoch, work.agent, reason))

    def _finish(self, work: Work) -> None:
        self._works.pop(work.generation, None)
        if self._turn is work:
            self._turn = None
        self._speaker.tell(SpeechDone(work.epoch))
        self._session.tell(AnswerEnds(work.epoch, work.all_said))

    # -- time -----------------------------------------------------------------------------

    def _arm(self) -> None:
        self.wake_at(min((w.progress.deadline for w in self._works.values()), default=math.inf))

    @handles
    def on_wake(self, message: Wake) -> None:
        for work in [w for w in self._works.values() if self.now >= w.progress.deadline]:
            work.progress.stop()
            if work.generating:
                model = self._models[work.model]
                model.tell(CancelGeneration(work.generation))
                work.generating = False
                self._failed(work, ModelFault(model.path, FaultKind.TIMEOUT, "no text in time"))
        self._arm()
