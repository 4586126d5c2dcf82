//! The engine as a command sees it, beside the gateways that count.

use redis::{RedisResult, Value};

use super::link::Link;
use super::script::{Names, RESET, taken_until_ms};
use crate::catalog::Cluster;
use crate::gate::quota::Quotas;
use crate::gate::quota::window::Window;

pub struct Outside {
    link: Link,
    names: Names,
}

impl Outside {
    /// `quotas`: of a node of the cluster. The error says why not.
    pub fn connect(cluster: &Cluster, quotas: &Quotas) -> Result<Self, String> {
        let link = Link::connect(cluster, cluster.wait).map_err(|error| unreachable_engine(&error))?;
        Ok(Self { link, names: Names::new(&cluster.key_prefix, quotas.node(), 0) })
    }

    /// How much of each window has been given out to other nodes. What they have not used of it counts.
    pub fn elsewhere(&mut self, counters: &[(u64, Window)]) -> Result<Vec<u64>, String> {
        let mut elsewhere = Vec::new();
        for some in counters.chunks(500) {
            let commands = some.iter().map(|&(id, window)| self.names.given(id, window)).collect();
            let found = self.link.all(commands).map_err(|error| unreachable_engine(&error))?;
            elsewhere.extend(found.iter().map(|value| of_others(value).unwrap_or(0)));
        }
        Ok(elsewhere)
    }

    /// Until when the tokens of each bucket are taken; `None`: none is.
    pub fn taken_until_ms(&mut self, buckets: &[u64]) -> Result<Vec<Option<u64>>, String> {
        let mut taken = Vec::new();
        for some in buckets.chunks(500) {
            let commands = some.iter().map(|&id| self.names.level(id)).collect();
            let found = self.link.all(commands).map_err(|error| unreachable_engine(&error))?;
            taken.extend(found.iter().map(taken_until_ms));
        }
        Ok(taken)
    }

    /// Fills a bucket.
    pub fn fill(&mut self, id: u64) -> Result<(), String> {
        self.link.one(&self.names.fill(id)).map(|_| ()).map_err(|error| unreachable_engine(&error))
    }

    /// Begins a counter anew at every node.
    pub fn reset(&mut self, id: u64, window: Window) -> Result<(), String> {
        let reset = |link: &mut Link, names: &Names| -> RedisResult<()> {
            let digest = link.load(RESET)?;
            link.one(&names.reset(&digest, id, window)).map(|_| ())
        };
        reset(&mut self.link, &self.names).map_err(|error| unreachable_engine(&error))
    }
}

fn of_others(value: &Value) -> Option<u64> {
    let (all, own): (Option<u64>, Option<u64>) = redis::from_redis_value_ref(value).ok()?;
    Some(all?.saturating_sub(own.unwrap_or(0)))
}

fn unreachable_engine(error: &redis::RedisError) -> String {
    format!("the engine of the cluster cannot be reached: {error}\n  help: `[cluster]` of gateway.toml says where it is")
}
