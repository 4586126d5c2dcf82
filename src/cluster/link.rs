//! Connections to the engine, in each of its forms. Each wait is bounded.

use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConnection, ClusterPipeline, cluster_pipe};
use redis::{
    Client, ClientTlsConfig, Cmd, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsCertificates, Value, cmd,
};

use crate::catalog::Cluster;
use crate::catalog::cluster::{EngineTls, Form};

pub enum Link {
    One(Connection),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    /// `answer`: how long an answer may take.
    pub fn connect(cluster: &Cluster, answer: Duration) -> RedisResult<Self> {
        let link = match &cluster.form {
            Form::Single => Self::One(one(cluster, first(&cluster.addresses)?)?),
            Form::Sentinel(name) => Self::One(one(cluster, &master(cluster, name)?)?),
            Form::Cluster => Self::Cluster(Box::new(of_cluster(cluster, answer)?)),
        };
        match &link {
            Self::One(connection) => {
                connection.set_read_timeout(Some(answer))?;
                connection.set_write_timeout(Some(answer))?;
            }
            Self::Cluster(connection) => {
                connection.set_read_timeout(Some(answer))?;
                connection.set_write_timeout(Some(answer))?;
            }
        }
        Ok(link)
    }

    /// Sends all, then hears all: one round trip.
    pub fn all(&mut self, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(connection) => {
                let mut pipeline = redis::Pipeline::with_capacity(commands.len());
                commands.into_iter().for_each(|command| _ = pipeline.add_command(command));
                pipeline.query(connection)
            }
            Self::Cluster(connection) => {
                let mut pipeline: ClusterPipeline = cluster_pipe();
                commands.into_iter().for_each(|command| _ = pipeline.add_command(command));
                pipeline.query(connection)
            }
        }
    }

    pub fn one(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => command.query(connection),
            Self::Cluster(connection) => command.query(connection.as_mut()),
        }
    }

    /// Makes a script known; what it is then called by.
    pub fn load(&mut self, script: &str) -> RedisResult<String> {
        redis::from_redis_value(self.one(cmd("SCRIPT").arg("LOAD").arg(script))?).map_err(Into::into)
    }
}

fn first(addresses: &[(String, u16)]) -> RedisResult<&(String, u16)> {
    addresses.first().ok_or(RedisError::from((ErrorKind::InvalidClientConfig, "there is no address")))
}

fn info(cluster: &Cluster, (host, port): &(String, u16)) -> RedisResult<ConnectionInfo> {
    let address = match cluster.tls {
        Some(_) => ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host.clone(), *port),
    };
    let mut settings = RedisConnectionInfo::default();
    if let Some(username) = &cluster.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &cluster.password {
        settings = settings.set_password(password.expose());
    }
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    Ok(address.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp))
}

fn certificates(tls: &EngineTls) -> TlsCertificates {
    let bytes = |text: &str| text.as_bytes().to_vec();
    TlsCertificates {
        client_tls: tls
            .identity
            .as_ref()
            .map(|(chain, key)| ClientTlsConfig { client_cert: bytes(chain), client_key: bytes(key.expose()) }),
        root_cert: tls.authorities.as_deref().map(bytes),
    }
}

fn open(info: ConnectionInfo, tls: Option<&EngineTls>) -> RedisResult<Client> {
    match tls {
        Some(tls) => Client::build_with_tls(info, certificates(tls)),
        None => Client::open(info),
    }
}

fn one(cluster: &Cluster, address: &(String, u16)) -> RedisResult<Connection> {
    open(info(cluster, address)?, cluster.tls.as_ref())?.get_connection_with_timeout(cluster.connect_timeout)
}

/// Asks one Sentinel after the other. What they name must say that it is the engine: they may not have noticed yet.
fn master(cluster: &Cluster, name: &str) -> RedisResult<(String, u16)> {
    let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no Sentinel knows the engine"));
    for sentinel in &cluster.addresses {
        // Sentinels have users of their own, and no password as a rule.
        let plain = info(cluster, sentinel)?.set_redis_settings(RedisConnectionInfo::default());
        let asked = open(plain, cluster.tls.as_ref())
            .and_then(|client| client.get_connection_with_timeout(cluster.connect_timeout))
            .and_then(|mut connection| {
                connection.set_read_timeout(Some(cluster.connect_timeout))?;
                cmd("SENTINEL").arg("get-master-addr-by-name").arg(name).query::<Option<(String, u16)>>(&mut connection)
            });
        match asked {
            Ok(Some(address)) => return is_master(cluster, &address).map(|()| address),
            Ok(None) => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn is_master(cluster: &Cluster, address: &(String, u16)) -> RedisResult<()> {
    let mut connection = one(cluster, address)?;
    connection.set_read_timeout(Some(cluster.connect_timeout))?;
    let role: Vec<Value> = cmd("ROLE").query(&mut connection)?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        _ => Err(RedisError::from((ErrorKind::Client, "the Sentinels name an engine that is a replica"))),
    }
}

fn of_cluster(cluster: &Cluster, answer: Duration) -> RedisResult<ClusterConnection> {
    let nodes: RedisResult<Vec<ConnectionInfo>> = cluster.addresses.iter().map(|address| info(cluster, address)).collect();
    let mut builder = ClusterClient::builder(nodes?)
        .connection_timeout(cluster.connect_timeout)
        .response_timeout(answer)
        // A request that is late is of no use; what it says is put right by the next one.
        .retries(1);
    if let Some(tls) = &cluster.tls {
        builder = builder.certs(certificates(tls));
    }
    builder.build()?.get_connection()
}
