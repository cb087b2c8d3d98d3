"""Resilience as pure policies: when to try again, when to stop trying, how much at a time.

Nothing here waits, reads a clock or makes a call. Whoever wears a policy tells it what happened and
when (float seconds, any clock that is the same for every call) and does what it answers; randomness
is the caller's `random.Random`. Each file stands alone:

- `backoff.py`: how long a child that failed waits before it runs again
- `breaker.py`: stop calling a provider that keeps failing, then probe whether it is back
- `bucket.py`: so many calls a second and no more
- `deadline.py`: the moment an answer stops being useful, inherited by the asks made to produce it
- `bulkhead.py`: so many calls at the same time, a short line behind them, no to the rest
"""

from supervision.resilience.backoff import Backoff as Backoff
from supervision.resilience.backoff import BackoffState as BackoffState
from supervision.resilience.backoff import BackoffStatistics as BackoffStatistics
from supervision.resilience.breaker import BreakerConfig as BreakerConfig
from supervision.resilience.breaker import BreakerStatistics as BreakerStatistics
from supervision.resilience.breaker import Circuit as Circuit
from supervision.resilience.breaker import CircuitBreaker as CircuitBreaker
from supervision.resilience.breaker import Denied as Denied
from supervision.resilience.breaker import Permit as Permit
from supervision.resilience.bucket import BucketStatistics as BucketStatistics
from supervision.resilience.bucket import BurstExceeded as BurstExceeded
from supervision.resilience.bucket import TokenBucket as TokenBucket
from supervision.resilience.bulkhead import Admitted as Admitted
from supervision.resilience.bulkhead import AlreadyInBulkhead as AlreadyInBulkhead
from supervision.resilience.bulkhead import Bulkhead as Bulkhead
from supervision.resilience.bulkhead import BulkheadStatistics as BulkheadStatistics
from supervision.resilience.bulkhead import NotInBulkhead as NotInBulkhead
from supervision.resilience.bulkhead import Queued as Queued
from supervision.resilience.bulkhead import Rejected as Rejected
from supervision.resilience.deadline import NEVER as NEVER
from supervision.resilience.deadline import Deadline as Deadline
