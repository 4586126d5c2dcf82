//! What is known of an instance, and what an outcome makes of it. Pure: times and chance are arguments.
//!
//! An instance that refuses stands aside at once; one that resets new connections or keeps calls waiting, after some
//! failures in a row. Each time it stands aside for twice as long as before, up to a limit. When the time is over, one
//! call goes to it as a trial, and the others stay away until that has ended: an answer brings the instance back, a
//! failure sends it aside again. Beside all this, an active check may hold the instance to be down.
//!
//! A state is one word, so that all workers share it without a lock: it is read on every choice and written only when
//! something changes.

use std::time::Duration;

/// When an instance stands aside, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first time; zero: never.
    pub first: Duration,
    pub longest: Duration,
    /// Resets and time-outs in a row; a refusal counts at once.
    pub failures: u8,
}

/// How an instance failed a call, before any byte of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It refused a connection or a TLS handshake, or there is no way to it.
    Refused,
    /// It reset a new connection.
    Reset,
    /// A connection to it, or its answer, did not come in time.
    TimedOut,
}

/// Whether an instance may be given a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admits {
    Calls,
    /// One call, which must be claimed first ([`Health::trial`]).
    Trial,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    phase: Phase,
    /// An active check holds the instance to be down.
    down: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes calls; it came back at `since_ms` (0: it was never away).
    Well { failures: u8, since_ms: u64 },
    /// Stands aside for the `times`th time in a row.
    Aside { times: u8, until_ms: u64 },
    /// A call is finding out.
    Trial { times: u8 },
}

/// How an instance is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Well,
    /// Calls to it failed: it gets none until its time is over.
    Aside,
    /// Its time is over: a call finds out, or the next one will.
    Trial,
    /// Its active checks failed.
    Down,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Well, Self::Aside, Self::Trial, Self::Down];

    pub fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Aside => "aside",
            Self::Trial => "trial",
            Self::Down => "down",
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { phase: Phase::Well { failures: 0, since_ms: 0 }, down: false }
    }
}

impl Health {
    pub fn admits(self, now_ms: u64) -> Admits {
        match self.phase {
            _ if self.down => Admits::Nothing,
            Phase::Well { .. } => Admits::Calls,
            Phase::Aside { until_ms, .. } if until_ms <= now_ms => Admits::Trial,
            Phase::Aside { .. } | Phase::Trial { .. } => Admits::Nothing,
        }
    }

    pub fn state(self, now_ms: u64) -> State {
        match self.phase {
            _ if self.down => State::Down,
            Phase::Well { .. } => State::Well,
            Phase::Aside { until_ms, .. } if until_ms > now_ms => State::Aside,
            Phase::Aside { .. } | Phase::Trial { .. } => State::Trial,
        }
    }

    /// An active check holds the instance to be down.
    pub fn is_down(self) -> bool {
        self.down
    }

    /// When the instance came back; 0: it was never away.
    pub fn since_ms(self) -> u64 {
        match self.phase {
            Phase::Well { since_ms, .. } => since_ms,
            Phase::Aside { .. } | Phase::Trial { .. } => 0,
        }
    }

    /// A call goes to it as the trial; what the call finds out is told with `trial: true`.
    pub fn trial(self, now_ms: u64) -> Option<Self> {
        match self.phase {
            Phase::Aside { times, until_ms } if !self.down && until_ms <= now_ms => {
                Some(Self { phase: Phase::Trial { times }, ..self })
            }
            _ => None,
        }
    }

    /// A call was answered, whatever the answer says. An answer to a call from before the instance stood aside says
    /// nothing: who does not take new connections may go on with old ones. A call that went out because every instance
    /// stood aside tells as much as a trial.
    #[must_use]
    pub fn answered(self, now_ms: u64, trial: bool) -> Self {
        let phase = match self.phase {
            Phase::Well { since_ms, .. } => Phase::Well { failures: 0, since_ms },
            Phase::Aside { .. } | Phase::Trial { .. } if trial => Phase::Well { failures: 0, since_ms: now_ms },
            phase => phase,
        };
        Self { phase, ..self }
    }

    /// A call failed. While the instance stands aside, only its trial counts: of many calls that fail together, the
    /// first sends it aside and the others say no more. `chance` spreads the ends of several such times.
    #[must_use]
    pub fn failed(self, fault: Fault, trial: bool, now_ms: u64, policy: &Policy, chance: u64) -> Self {
        let phase = match self.phase {
            Phase::Well { failures, since_ms } => {
                let failures = failures.saturating_add(1);
                match fault == Fault::Refused || failures >= policy.failures {
                    true if policy.first.is_zero() => Phase::Well { failures: 0, since_ms },
                    true => aside(1, now_ms, policy, chance),
                    false => Phase::Well { failures, since_ms },
                }
            }
            Phase::Trial { times } if trial => aside(times.saturating_add(1), now_ms, policy, chance),
            phase => phase,
        };
        Self { phase, ..self }
    }

    /// A trial ended without finding anything out, perhaps because its client left: the next call is a trial again.
    #[must_use]
    pub fn undecided(self) -> Self {
        match self.phase {
            Phase::Trial { times } => Self { phase: Phase::Aside { times, until_ms: 0 }, ..self },
            _ => self,
        }
    }

    /// The active check has changed its mind. An instance that is up again has come back, whatever calls found.
    #[must_use]
    pub fn checked(self, up: bool, now_ms: u64) -> Self {
        match up {
            false => Self { down: true, ..self },
            true if self.down => Self { down: false, phase: Phase::Well { failures: 0, since_ms: now_ms } },
            true => self,
        }
    }
}

fn aside(times: u8, now_ms: u64, policy: &Policy, chance: u64) -> Phase {
    Phase::Aside { times, until_ms: now_ms.saturating_add(delay_ms(times, policy, chance)) }
}

/// Twice as long each time, up to the limit, less up to a quarter by chance.
fn delay_ms(times: u8, policy: &Policy, chance: u64) -> u64 {
    let (first, longest) = (policy.first.as_millis() as u64, policy.longest.as_millis() as u64);
    let doubled = first.saturating_mul(1 << u32::from(times.saturating_sub(1)).min(32)).min(longest.max(first));
    doubled - chance % (doubled / 4 + 1)
}

/// The word: phase in bits 0 and 1, `down` in bit 2, a count in bits 8 to 15, a time in milliseconds in the rest.
impl From<Health> for u64 {
    fn from(health: Health) -> u64 {
        let (phase, count, at_ms) = match health.phase {
            Phase::Well { failures, since_ms } => (0, failures, since_ms),
            Phase::Aside { times, until_ms } => (1, times, until_ms),
            Phase::Trial { times } => (2, times, 0),
        };
        phase | u64::from(health.down) << 2 | u64::from(count) << 8 | at_ms << 16
    }
}

impl From<u64> for Health {
    fn from(word: u64) -> Self {
        let (count, at_ms) = ((word >> 8) as u8, word >> 16);
        let phase = match word & 3 {
            0 => Phase::Well { failures: count, since_ms: at_ms },
            1 => Phase::Aside { times: count, until_ms: at_ms },
            _ => Phase::Trial { times: count },
        };
        Self { phase, down: word & 4 != 0 }
    }
}

#[cfg(test)]
mod tests;
