//! What the server does about the web configuration: following its files, TLS on new connections, and requests whose
//! credentials have been compared.

use std::io;
use std::time::Instant;

use super::Server;
use crate::config::tls::Handshake;
use crate::config::watch::Watch;
use crate::config::web::WebConfig;
use crate::limits::{CONFIG_CHECK_INTERVAL, CONFIG_IDLE_CHECK_INTERVAL};
use crate::log::Value;
use crate::net::Stream;

/// The web configuration as it stands.
pub(super) struct Secure {
    watch: Option<Watch>,
    /// When the files are to be looked at again, if something happens.
    next_look: Instant,
    /// What new connections are secured with, if they are.
    pub(super) handshake: Option<Handshake>,
}

impl Secure {
    pub(super) fn new(now: Instant) -> Self {
        Self { watch: None, next_look: now, handshake: None }
    }

    /// When the files are to be looked at although nothing happens, so that trouble shows in the log when it is made.
    pub(super) fn idle_look(&self) -> Option<Instant> {
        self.watch.as_ref().map(|_| self.next_look + CONFIG_IDLE_CHECK_INTERVAL)
    }
}

impl Server {
    /// Serves as this configuration says from now on, and follows its files. To be called before it listens.
    pub fn guard(
        &mut self,
        watch: Watch,
        web: &WebConfig,
        handshake: Option<Handshake>,
        exempts_probes: bool,
    ) -> io::Result<()> {
        let waker = self.reactor.waker()?;
        // A loop that cannot be woken is at its end.
        let wake = Box::new(move || drop(waker.wake()));
        self.app.guard(web, exempts_probes, wake);
        self.secure = Secure { watch: Some(watch), next_look: self.shared.now, handshake };
        Ok(())
    }

    /// Looks at the files of the configuration, not more often than is worth it. In front of everything that is done
    /// in a turn: what came behind a change is served as the change says.
    pub(super) fn follow_files(&mut self) {
        let now = self.shared.now;
        let Some(watch) = &mut self.secure.watch else { return };
        if now < self.secure.next_look {
            return;
        }
        self.secure.next_look = now + CONFIG_CHECK_INTERVAL;
        let changes = watch.look(self.clock.wall());
        if let Some(web) = changes.web {
            self.app.reconfigure(&web.as_ref().map_err(Clone::clone));
        }
        match changes.tls {
            Some(Ok(handshake)) => {
                self.secure.handshake = Some(handshake);
                self.app.log.info("TLS certificates and settings reloaded", &[]);
            }
            Some(Err(error)) => {
                let keys = [("err", Value::Shown(&error))];
                self.app.log.error("cannot reload TLS certificates and settings, going on with the old ones", &keys);
            }
            None => {}
        }
    }

    /// Whether connections have to speak TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.secure.handshake.is_some()
    }

    /// Has a new connection speak TLS, if all do; whether it may go on.
    pub(super) fn secure(&mut self, stream: &mut Stream) -> bool {
        let Some(handshake) = &self.secure.handshake else { return true };
        match stream.secure(handshake) {
            Ok(()) => true,
            Err(error) => {
                self.app.log.error("cannot secure a connection", &[("err", Value::Shown(&error))]);
                false
            }
        }
    }

    /// Has requests go on whose credentials have been compared. All sessions are looked at for each comparison, which
    /// takes many times as long as that.
    pub(super) fn prove(&mut self) {
        while let Some(comparison) = self.app.compared() {
            for (key, session) in &mut self.sessions {
                if session.awaits_comparison(comparison) {
                    session.note_compared();
                    if let Some(level) = session.enqueue(self.shared.meter.now()) {
                        self.ready.push(key, level);
                    }
                }
            }
        }
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests;
