//! What of `gateway.toml` a running gateway cannot change: it keeps what it started with until it is started anew.

use super::Catalog;

impl Catalog {
    /// Takes over from the catalog that runs what does not change while a process lives. Returns the keys whose change
    /// takes effect only when the gateway is started anew.
    pub fn settle(&mut self, running: &Catalog) -> Vec<&'static str> {
        let mut kept = Vec::new();
        let (next, now) = (&mut self.instance, &running.instance);
        keep("workers in [instance]", &mut next.workers, &now.workers, &mut kept);
        keep("driver in [instance]", &mut next.driver, &now.driver, &mut kept);
        keep("state_directory in [instance]", &mut next.state_directory, &now.state_directory, &mut kept);
        keep("[[listener]]", &mut self.listeners, &running.listeners, &mut kept);
        keep("[admin]", &mut self.admin, &running.admin, &mut kept);
        keep("[access_log]", &mut self.access_log, &running.access_log, &mut kept);
        let (next, now) = (&mut self.security, &running.security);
        // The set of nonces is made for both, once: with another window a nonce could pass twice.
        keep("signature_window_s in [security]", &mut next.signature_window_ms, &now.signature_window_ms, &mut kept);
        keep("nonce_capacity in [security]", &mut next.nonce_capacity, &now.nonce_capacity, &mut kept);
        keep("[cluster]", &mut self.cluster, &running.cluster, &mut kept);
        let (next, now) = (&mut self.quota, &running.quota);
        keep("counter_capacity in [quota]", &mut next.counter_capacity, &now.counter_capacity, &mut kept);
        kept
    }
}

fn keep<T: PartialEq + Clone>(key: &'static str, next: &mut T, running: &T, kept: &mut Vec<&'static str>) {
    if next != running {
        next.clone_from(running);
        kept.push(key);
    }
}
