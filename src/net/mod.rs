//! The thin facade over the runtime: connections, buffers, deadlines, the clock. The only module that speaks to monoio
//! about I/O, so that its hazards are met in one place.

pub mod admission;
pub mod bell;
pub mod block;
pub mod boxes;
pub mod clock;
pub mod deadline;
pub mod guard;
pub mod handshake;
pub mod listen;
pub mod order;
pub mod pipe;
pub mod readiness;
mod room;
pub mod runtime;
pub mod secure;
pub mod stream;
pub mod tasks;
pub mod turn;

pub use admission::Admission;
pub use block::{Block, Blocks};
pub use clock::Clock;
pub use deadline::{Timer, Wait, Watch, Watched, Watches};
pub use pipe::Pipes;
pub use readiness::Ready;
pub use runtime::pause;
pub use stream::Stream;
pub use tasks::Tasks;
