// SPDX-License-Identifier: MIT OR Apache-2.0
//! The servers that the client programs talk to, each with its data in a folder of its own.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::certificate;
use harness::server::{Server, find_command, free_port};

use crate::slow;

/// What a client program needs to know, and what has to live as long as it runs.
pub struct Place {
    pub args: Vec<String>,
    _servers: Vec<Server>,
    _folder: Option<OutsideFolder>,
}

impl Place {
    fn new(args: &[&str], servers: Vec<Server>) -> Place {
        Place { args: args.iter().map(|arg| arg.to_string()).collect(), _servers: servers, _folder: None }
    }
}

type Started = Result<Place, String>;

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn command(name: &str) -> Command {
    Command::new(find_command(name).unwrap_or_else(|| PathBuf::from(name)))
}

fn is_root() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// No server at all: a file, and how it is used. In memory, where that can be had: how long a disk takes for a commit that
/// others have to do with, too, is no business of a test of times.
pub fn file(folder: &Path, how: &[&str]) -> Started {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let memory = PathBuf::from(format!("/dev/shm/dyco-clients-{}-{number}", std::process::id()));
    let outside = fs::create_dir(&memory).is_ok().then(|| OutsideFolder(memory));
    let file = outside.as_ref().map_or(folder, |outside| &outside.0).join("file");
    let place = Place::new(&[&[&*file.to_string_lossy()], how].concat(), Vec::new());
    Ok(Place { _folder: outside, ..place })
}

pub fn redis(folder: &Path) -> Started {
    let port = free_port();
    let mut redis = command("redis-server");
    redis.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
    let server = Server::start(redis.arg(folder), libc::SIGTERM, &folder.join("redis.log"), || listens(port))?;
    Ok(Place::new(&["localhost", &port.to_string(), &free_port().to_string()], vec![server]))
}

pub fn memcached(folder: &Path) -> Started {
    let port = free_port();
    let mut memcached = command("memcached");
    memcached.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0", "-u", "root", "-I", "512k"]);
    let server = Server::start(&mut memcached, libc::SIGTERM, &folder.join("memcached.log"), || listens(port))?;
    let proxy = slow::proxy(port);
    Ok(Place::new(&["localhost", &proxy.to_string(), &free_port().to_string()], vec![server]))
}

pub fn mariadb(folder: &Path) -> Started {
    let data = folder.join("data");
    let options = ["--no-defaults", &format!("--datadir={}", data.display())];
    let user = is_root().then_some("--user=root");
    let mut install = command("mariadb-install-db");
    let output = install.args(options).args(user).args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    let output = output.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("mariadb-install-db: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let script = folder.join("init.sql");
    let sql = "CREATE DATABASE test;\nCREATE USER test@localhost;\nGRANT ALL ON test.* TO test@localhost;\n";
    fs::write(&script, sql).map_err(|error| error.to_string())?;
    let port = free_port();
    let (certificate, key) = certificate(folder);
    let mut mariadbd = command("mariadbd");
    mariadbd.args(options).args(user).args(["--bind-address=127.0.0.1", "--max-allowed-packet=16M"]).args([
        format!("--port={port}"),
        format!("--socket={}", socket_name(folder)),
        format!("--pid-file={}", folder.join("pid").display()),
        format!("--init-file={}", script.display()),
        format!("--ssl-cert={certificate}"),
        format!("--ssl-key={key}"),
    ]);
    // Small and quick; nothing here has to survive.
    mariadbd.args(["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0"]);
    let server = Server::start(&mut mariadbd, libc::SIGTERM, &folder.join("mariadb.log"), || listens(port))?;
    Ok(Place::new(&["localhost", &port.to_string(), &free_port().to_string()], vec![server]))
}

/// A socket that nobody uses, in a place whose name is short enough.
fn socket_name(folder: &Path) -> String {
    let inside = folder.join("socket").to_string_lossy().into_owned();
    if inside.len() < 100 { inside } else { format!("/tmp/dyco-{}.socket", std::process::id()) }
}

pub fn nginx(folder: &Path, is_tls: bool) -> Result<(u16, String, Server), String> {
    let port = free_port();
    let upstream = slow::upstream();
    let (certificate, key) = certificate(folder);
    let here = folder.display();
    let tls = if is_tls { format!("ssl_certificate {certificate}; ssl_certificate_key {key};") } else { String::new() };
    let large: Vec<u8> = (0..1_000_000u32).map(|i| b'a' + (i % 23) as u8).collect();
    fs::write(folder.join("large"), large).map_err(|error| error.to_string())?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
        .collect();
    let user = if is_root() { "user root;\n" } else { "" };
    let listen = if is_tls { "ssl" } else { "" };
    let config = format!(
        "{user}daemon off;
        master_process off;
        pid {here}/nginx.pid;
        error_log stderr;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            client_max_body_size 16m;
            keepalive_requests 10000000;
            {temporary}
            server {{
                listen 127.0.0.1:{port} {listen};
                {tls}
                root {here};
                location /quick/ {{ return 200 \"$request_uri\\n\"; }}
                location /slow/ {{ proxy_pass http://127.0.0.1:{upstream}; }}
                location /length/ {{ proxy_pass http://127.0.0.1:{upstream}; }}
            }}
        }}"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config).map_err(|error| error.to_string())?;
    let mut nginx = command("nginx");
    // What it says before it has read its file goes to the log that was built in, unless told otherwise.
    nginx.arg("-p").arg(folder).arg("-c").arg(&file).args(["-e", "stderr"]);
    let server = Server::start(&mut nginx, libc::SIGTERM, &folder.join("nginx.log"), || listens(port))?;
    Ok((port, certificate, server))
}

pub fn nginx_for_curl(folder: &Path, is_tls: bool) -> Started {
    let (port, certificate, server) = nginx(folder, is_tls)?;
    let scheme = if is_tls { "https" } else { "http" };
    let url = |port: u16| format!("{scheme}://localhost:{port}");
    Ok(Place::new(&[&url(port), &url(free_port()), &certificate], vec![server]))
}

pub fn nginx_for_openssl(folder: &Path, is_tls: bool) -> Started {
    let (port, certificate, server) = nginx(folder, is_tls)?;
    let scheme = if is_tls { "https" } else { "http" };
    let address = |port: u16| format!("localhost:{port}");
    Ok(Place::new(&[scheme, &address(port), &address(free_port()), &certificate], vec![server]))
}

pub fn nginx_for_stdio(folder: &Path) -> Started {
    let (port, _, server) = nginx(folder, false)?;
    Ok(Place::new(&["localhost", &port.to_string()], vec![server]))
}

/// A folder elsewhere than in the project, which goes away with this.
struct OutsideFolder(PathBuf);

impl Drop for OutsideFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The uid and gid of the user "postgres".
fn postgres_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find_map(|line| line.strip_prefix("postgres:"))?;
    let mut fields = line.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The newest PostgreSQL's command; Debian keeps them off the PATH.
pub fn find_postgres(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let newest = versions
        .map(|entry| entry.path())
        .max_by_key(|path| path.file_name().and_then(|name| name.to_string_lossy().parse::<u32>().ok()).unwrap_or(0));
    let file = newest.map(|path| path.join("bin").join(name)).filter(|file| file.is_file());
    file.or_else(|| find_command(name))
}

/// PostgreSQL refuses to run as root: then it is its own user's, in a folder that this user can reach.
pub fn postgres(folder: &Path) -> Started {
    let text = |error: std::io::Error| format!("PostgreSQL's folder: {error}");
    let user = if is_root() { Some(postgres_user().ok_or("no user postgres")?) } else { None };
    let reachable = user.is_none()
        || folder.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|data| data.permissions().mode() & 1 != 0));
    let mut outside = None;
    let mut home = folder.to_path_buf();
    if !reachable {
        home = std::env::temp_dir().join(format!("dyco-postgres-{}", std::process::id()));
        fs::create_dir_all(&home).map_err(text)?;
        outside = Some(OutsideFolder(home.clone()));
    }
    let (certificate, key) = certificate(&home);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).map_err(text)?;
    if let Some((uid, gid)) = user {
        for file in [home.as_path(), Path::new(&certificate), Path::new(&key)] {
            chown(file, Some(uid), Some(gid)).map_err(text)?;
        }
    }
    let run = |name: &str| {
        let mut command = Command::new(find_postgres(name).unwrap_or_else(|| PathBuf::from(name)));
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(&home);
        command
    };
    let data = home.join("data");
    let mut init = run("initdb");
    init.args(["-A", "trust", "-N", "-E", "UTF8", "--locale=C", "-U", "tester", "-D"]).arg(&data);
    let output = init.output().map_err(|error| format!("initdb: {error}"))?;
    if !output.status.success() {
        return Err(format!("initdb: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let port = free_port();
    let mut postgres = run("postgres");
    postgres.arg("-D").arg(&data).args(["-p", &port.to_string(), "-F"]);
    let tls = [format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "ssl=on", &tls[0], &tls[1]] {
        postgres.args(["-c", setting]);
    }
    // Asks as a client does: it listens before it answers.
    let ready = || {
        let mut ask = Command::new(find_postgres("pg_isready").unwrap_or_else(|| PathBuf::from("pg_isready")));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status().is_ok_and(|status| status.success())
    };
    let server = Server::start(&mut postgres, libc::SIGINT, &folder.join("postgres.log"), ready)?;
    let mut place = Place::new(&["localhost", &port.to_string(), &free_port().to_string(), "tester"], vec![server]);
    place._folder = outside;
    Ok(place)
}
