//! Hears what other nodes need that this one may have, and which counters are begun anew.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use redis::{RedisResult, Value, cmd};

use super::Message;
use super::link::Link;
use super::script::{Names, calls};
use crate::catalog::Cluster;

/// How long the engine is to wait for a call.
const BLOCK_MS: u64 = 1000;
const PAUSE: Duration = Duration::from_millis(100);

/// Until nobody is there to tell. What is missed between two connections is called again by who needs it.
pub fn hear(cluster: &Cluster, names: &Names, inbox: &SyncSender<Message>) {
    while listen(cluster, names, inbox).is_err() {
        std::thread::sleep(PAUSE);
    }
}

/// `Ok`: nobody is there to tell.
fn listen(cluster: &Cluster, names: &Names, inbox: &SyncSender<Message>) -> RedisResult<()> {
    let mut link = Link::connect(cluster, Duration::from_millis(2 * BLOCK_MS) + cluster.wait)?;
    let mut last = newest(&mut link, names)?;
    loop {
        let found = link.one(cmd("XREAD").arg("BLOCK").arg(BLOCK_MS).arg("STREAMS").arg(names.calls()).arg(&last))?;
        for call in calls(found, names, &mut last) {
            if inbox.send(Message::Call(call)).is_err() {
                return Ok(());
            }
        }
    }
}

fn newest(link: &mut Link, names: &Names) -> RedisResult<String> {
    let found = link.one(cmd("XREVRANGE").arg(names.calls()).arg("+").arg("-").arg("COUNT").arg(1))?;
    let entries: Vec<(String, Value)> = redis::from_redis_value(found)?;
    Ok(entries.into_iter().next().map_or_else(|| "0-0".to_owned(), |(id, _)| id))
}
