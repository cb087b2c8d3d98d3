"""The actor runtime: mailboxes, references, child specs, supervisors.

Nothing here has heard of rooms, calls or audio. Read `spec.py` for the vocabulary, then
`restart.py` (what to restart, as a pure machine) and `supervisor.py` (doing it); `cell.py`,
`life.py` and `dispatcher.py` are how actors run; `testing.py` is for tests of your own actors.
"""

from supervision.actor import Actor as Actor
from supervision.behaviour import handles as handles
from supervision.blocking import BlockingActor as BlockingActor
from supervision.config import SupervisionConfig as SupervisionConfig
from supervision.errors import ActorCrashed as ActorCrashed
from supervision.errors import ActorStopped as ActorStopped
from supervision.errors import AskCycle as AskCycle
from supervision.errors import AskTimeout as AskTimeout
from supervision.errors import BlockingOnLoop as BlockingOnLoop
from supervision.errors import Escalate as Escalate
from supervision.errors import MailboxFull as MailboxFull
from supervision.errors import NodeFailed as NodeFailed
from supervision.errors import NoSuchActor as NoSuchActor
from supervision.errors import NotAccepted as NotAccepted
from supervision.errors import Refuse as Refuse
from supervision.errors import Refused as Refused
from supervision.errors import StartFailed as StartFailed
from supervision.errors import StuckTask as StuckTask
from supervision.errors import SupervisionError as SupervisionError
from supervision.messages import ExitReason as ExitReason
from supervision.messages import How as How
from supervision.messages import Request as Request
from supervision.messages import Terminated as Terminated
from supervision.messages import Wake as Wake
from supervision.promise import Promise as Promise
from supervision.ref import ActorRef as ActorRef
from supervision.reply import Reply as Reply
from supervision.spec import AutoShutdown as AutoShutdown
from supervision.spec import ChildSpec as ChildSpec
from supervision.spec import Exhausted as Exhausted
from supervision.spec import Mailbox as Mailbox
from supervision.spec import Overflow as Overflow
from supervision.spec import Restart as Restart
from supervision.spec import Strategy as Strategy
from supervision.subprocesses import WorkerDied as WorkerDied
from supervision.supervisor import DynamicSupervisor as DynamicSupervisor
from supervision.supervisor import Supervisor as Supervisor
from supervision.system import System as System
from supervision.system import open_system as open_system
from supervision.worker import WorkerActor as WorkerActor
