//! The way to PostgreSQL, on which each statement can be stopped: before the server has it, or when
//! it is done and before its answer arrives. It reads as much of the protocol as tells statements
//! apart.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use parking_lot::{Mutex, MutexGuard};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What happens to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// The process dies before the server gets it.
    DiesBefore,
    /// The server does it, and the process dies before it knows.
    DiesAfter,
    /// The server does it, and the connection breaks before the process knows, which lives on.
    AnswerLost,
}

impl Harm {
    pub(super) const ALL: [Self; 3] = [Self::DiesBefore, Self::DiesAfter, Self::AnswerLost];
}

/// The `nth` time, from 1, that a process sends a statement.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) statement: String,
    pub(super) nth: usize,
    pub(super) harm: Harm,
}

/// A way of one process.
pub(super) struct Wire {
    options: PgConnectOptions,
    way: Arc<Way>,
    _closes: DropGuard,
}

struct Way {
    point: Option<Point>,
    /// How often each statement was sent.
    sent: Mutex<BTreeMap<String, usize>>,
    reached: AtomicBool,
    dead: CancellationToken,
}

impl Wire {
    /// To a server, with what is to happen on the way.
    pub(super) async fn to(server: &PgConnectOptions, point: Option<Point>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let way =
            Way { point, sent: Mutex::default(), reached: AtomicBool::new(false), dead: CancellationToken::new() };
        let way = Arc::new(way);
        let address = (server.get_host().to_owned(), server.get_port());
        let accepting = Arc::clone(&way);
        tokio::spawn(async move {
            while let Some(Ok((client, _))) = accepting.dead.run_until_cancelled(listener.accept()).await {
                let (way, address) = (Arc::clone(&accepting), address.clone());
                tokio::spawn(async move { way.dead.clone().run_until_cancelled(way.pass(client, address)).await });
            }
        });
        let options = server.clone().host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable);
        Ok(Self { options, _closes: way.dead.clone().drop_guard(), way })
    }

    /// How a process goes by it.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// When the process dies: from then on nothing passes.
    pub(super) fn death(&self) -> CancellationToken {
        self.way.dead.clone()
    }

    /// Whether its point was reached.
    pub(super) fn was_reached(&self) -> bool {
        self.way.reached.load(Ordering::SeqCst)
    }

    /// Which statements were sent, and how often.
    pub(super) fn sent(&self) -> BTreeMap<String, usize> {
        self.way.sent().clone()
    }
}

impl Way {
    fn sent(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.sent.lock()
    }

    /// A connection, until either end of it, or its point, closes it.
    async fn pass(&self, client: TcpStream, server: (String, u16)) -> Result<()> {
        let server = TcpStream::connect(server).await.context("connect to the server")?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // What becomes of the answers that are under way, in their order. The first is to the
        // greeting.
        let answers = Mutex::new(VecDeque::from([None]));
        tokio::select! {
            done = self.ask(from_client, to_server, &answers) => done,
            done = self.answer(from_server, to_client, &answers) => done,
        }
    }

    async fn ask(
        &self,
        mut client: OwnedReadHalf,
        mut server: OwnedWriteHalf,
        answers: &Mutex<VecDeque<Option<Harm>>>,
    ) -> Result<()> {
        // The greeting has no letter before it.
        let length = client.read_u32().await?;
        server.write_all(&with_body(&mut client, length.to_be_bytes().to_vec(), length).await?).await?;
        let mut prepared: HashMap<Vec<u8>, String> = HashMap::new();
        let mut statement = None;
        let mut request = Vec::new();
        loop {
            let (letter, message) = read(&mut client).await?;
            let mut texts = message[5..].split(|byte| *byte == 0);
            let mut text = || texts.next().unwrap_or_default().to_vec();
            match letter {
                // Parse: the statement's name, and its text.
                b'P' => drop(prepared.insert(text(), String::from_utf8(text())?)),
                // Bind: the portal's name, and the statement's.
                b'B' => {
                    statement = prepared
                        .get(&{
                            text();
                            text()
                        })
                        .cloned()
                }
                // Query: a text, to be carried out at once.
                b'Q' => statement = Some(String::from_utf8(text())?),
                _ => {}
            }
            request.extend(message);
            match letter {
                // The end of what is answered together: Query, Sync.
                b'Q' | b'S' => {
                    let harm = statement.take().and_then(|statement| self.harm_to(statement));
                    if harm == Some(Harm::DiesBefore) {
                        self.dead.cancel();
                        bail!("dead");
                    }
                    answers.lock().push_back(harm);
                }
                // Passwords, Flush and Terminate are not waited with.
                b'p' | b'H' | b'X' => {}
                _ => continue,
            }
            server.write_all(&std::mem::take(&mut request)).await?;
        }
    }

    async fn answer(
        &self,
        mut server: OwnedReadHalf,
        mut client: OwnedWriteHalf,
        answers: &Mutex<VecDeque<Option<Harm>>>,
    ) -> Result<()> {
        loop {
            let (letter, message) = read(&mut server).await?;
            // ReadyForQuery: the end of an answer.
            let harm = {
                let mut answers = answers.lock();
                let harm = answers.front().copied().flatten();
                if letter == b'Z' {
                    answers.pop_front();
                }
                harm
            };
            match (harm, letter) {
                (None, _) => client.write_all(&message).await?,
                (Some(Harm::AnswerLost), b'Z') => bail!("lost"),
                (Some(_), b'Z') => {
                    self.dead.cancel();
                    bail!("dead");
                }
                (Some(_), _) => {}
            }
        }
    }

    /// Counts a statement, and says what is to happen to it.
    fn harm_to(&self, statement: String) -> Option<Harm> {
        let mut sent = self.sent();
        let point = self.point.as_ref().filter(|point| point.statement == statement);
        let times = sent.entry(statement).or_default();
        *times += 1;
        let point = point.filter(|point| point.nth == *times)?;
        self.reached.store(true, Ordering::SeqCst);
        Some(point.harm)
    }
}

/// A message: its letter, and all of it.
async fn read(from: &mut OwnedReadHalf) -> Result<(u8, Vec<u8>)> {
    let letter = from.read_u8().await?;
    let length = from.read_u32().await?;
    let head = [&[letter], &length.to_be_bytes()[..]].concat();
    Ok((letter, with_body(from, head, length).await?))
}

/// What was read of a message, with the rest of it. Its length counts itself.
async fn with_body(from: &mut OwnedReadHalf, head: Vec<u8>, length: u32) -> Result<Vec<u8>> {
    let mut message = head;
    let rest = u64::from(length).checked_sub(4).context("a length")?;
    let read = from.take(rest).read_to_end(&mut message).await?;
    anyhow::ensure!(read as u64 == rest, "cut off");
    Ok(message)
}
