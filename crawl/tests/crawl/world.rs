//! A source, a service and a folder for what is kept on disk, with a time that passes when somebody
//! waits.

use std::{
    collections::BTreeMap,
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Clock, Failure, News, SendOptions, StopHandle, Transport},
    external::{Acl, Duplicates, ExternalActivity, ExternalItem, Identity},
    machine::{Ingest, IngestStep, Policy, Shared, Start, Tick, Token},
    protocol::ServiceRoot,
    types::{AccessToken, BuildError, ConnectionId, Fault, Guid, ItemId, Rule, Timestamp},
};
use graphfeed_crawl::{
    Complaint, Crawl, CrawlError, CrawlNews, CrawlSettings, DeadLetter, DeadLetterLines,
    DeadLetters, Entry, Journal, Record, Report, Scope, State,
};
use graphfeed_emulator::{Emulator, Options};

const CONNECTION: &str = "contosohr";
const SCHEMA: &str = r#"{"baseType":"microsoft.graph.externalItem",
    "properties":[{"name":"title","type":"string"},{"name":"tags","type":"stringCollection"}]}"#;

/// Time that passes while somebody waits for nothing else.
#[derive(Default)]
struct Time(Mutex<Tick>);

impl Clock for Time {
    fn now(&self) -> Tick {
        *self.0.lock().unwrap()
    }

    // A second at a time, so that whoever is slow to answer is not given up.
    fn wait(&self, until: Tick, news: &News) {
        news.wait(Duration::from_millis(1));
        let mut now = self.0.lock().unwrap();
        *now = until.min(*now + Duration::from_secs(1)).max(*now);
    }
}

pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) emulator: Emulator,
    pub(crate) settings: CrawlSettings,
    time: Arc<Time>,
}

pub(crate) enum Folder {
    Own(tempfile::TempDir),
    Given(PathBuf),
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Given(folder) => folder,
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Folder::Own(folder()))
    }

    /// With a folder that is there and stays.
    pub(crate) fn within(folder: &Path) -> Self {
        Self::on(Folder::Given(folder.into()))
    }

    fn on(folder: Folder) -> Self {
        let time = Arc::<Time>::default();
        let clock = Arc::clone(&time);
        let emulator = Emulator::with_clock(Options::default(), move || clock.now().since_origin());
        let world = Self { folder, emulator, settings: CrawlSettings::default(), time };
        let path = format!("/{CONNECTION}");
        world.request("POST", "", &format!(r#"{{"id":"{CONNECTION}","name":"Contoso"}}"#));
        world.request("PATCH", &format!("{path}/schema"), SCHEMA);
        *world.time.0.lock().unwrap() += Duration::from_secs(3600);
        // Until then the schema was not registered.
        world.request("GET", &path, "");
        world
    }

    /// Besides the crawl.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) {
        let uri = format!("https://graph.microsoft.com/v1.0/external/connections{path}");
        let request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", "Bearer any")
            .header("content-type", "application/json")
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        let answer = self.emulator.handle(&request);
        assert!(answer.status().is_success(), "{answer:?}");
    }

    pub(crate) fn journal_path(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    pub(crate) fn letters_path(&self) -> PathBuf {
        self.folder.path().join("dead.ndjson")
    }

    /// What is kept on disk, open.
    pub(crate) fn kept(&self) -> (Journal, DeadLetters) {
        let scope = Scope::new(&root(), &connection());
        let journal = Journal::open(self.journal_path(), &scope).unwrap();
        (journal, DeadLetters::open(self.letters_path()).unwrap())
    }

    pub(crate) fn crawl(&self) -> Crawl {
        let (journal, letters) = self.kept();
        Crawl::new(root(), connection(), journal, letters, self.settings.clone()).unwrap()
    }

    /// A client of the service, or of what stands before it.
    pub(crate) fn client_of<T: Transport + 'static>(&self, transport: T) -> Client<T> {
        let mut policy = Policy::default();
        // A thread that is not let run is none that does not answer.
        policy.attempt = Duration::from_secs(1_000_000);
        policy.total = policy.attempt;
        policy.attempts = 2;
        Client::builder(root(), AccessToken::new("any").unwrap())
            .policy(policy)
            .build(transport, Arc::clone(&self.time))
    }

    pub(crate) fn client(&self) -> Client<Emulator> {
        self.client_of(self.emulator.clone())
    }

    pub(crate) fn run(&self, source: Vec<Entry>) -> Report {
        self.try_run(source, |_, _| {}).unwrap()
    }

    /// Runs a crawl, and whoever hears of it may stop it.
    pub(crate) fn try_run(
        &self,
        source: Vec<Entry>,
        hears: impl FnMut(CrawlNews<'_>, &StopHandle),
    ) -> Result<Report, CrawlError> {
        self.try_run_over(&self.client(), source, hears)
    }

    pub(crate) fn try_run_over<T: Transport + Sync>(
        &self,
        client: &Client<T>,
        source: impl IntoIterator<Item = Entry> + Send,
        mut hears: impl FnMut(CrawlNews<'_>, &StopHandle),
    ) -> Result<Report, CrawlError> {
        let crawl = self.crawl();
        let run = crawl.over(client);
        let stop = run.stop_handle();
        let report = run.run(source, |news| hears(news, &stop))?;
        check(&report);
        Ok(report)
    }

    /// What a run leaves that died with these calls on their way. Those about items have arrived,
    /// and those that add activities have not.
    pub(crate) fn die_with(&self, entry: Entry) {
        let crawl = self.crawl();
        let pass = crawl.begin().unwrap();
        for (_, call) in pass.offers([entry]) {
            let call = call.unwrap();
            if call.request().method() != "POST" {
                let (mut head, body) = call.request().clone().into_parts();
                head.headers.insert("authorization", "Bearer any".parse().unwrap());
                self.emulator.handle(&http::Request::from_parts(head, body));
            }
        }
        // Nobody hears, and nothing is finished.
    }

    /// A run without a client: everything is offered before the first call goes out. After each
    /// call that has arrived, and each outcome that is on record, under its key, `goes_on` says
    /// whether the run does; if not, it dies there.
    pub(crate) fn by_hand(
        &self,
        source: Vec<Entry>,
        mut goes_on: impl FnMut(&Crawl, Option<&str>) -> bool,
    ) -> Option<Report> {
        let crawl = self.crawl();
        let pass = crawl.begin().unwrap();
        let mut now = Tick::default();
        let mut policy = Policy::default();
        policy.attempts = 2;
        let start = Start::new(root(), policy, 7, now);
        let mut ingest = Ingest::new(crawl.settings().ingest.clone(), &start);
        let mut shared = Shared::default();
        for (job, call) in pass.offers(source) {
            assert!(ingest.offer(job, call.unwrap(), now).is_ok());
        }
        ingest.close();
        let summary = loop {
            match ingest.poll(now, &mut shared) {
                IngestStep::Token(need) => {
                    let token = Token::new(AccessToken::new("any").unwrap());
                    ingest.on_token(need.lease, now, Ok(token), &mut shared);
                }
                IngestStep::Send(attempt) => {
                    let answer = self.emulator.handle(&attempt.request);
                    if !goes_on(&crawl, None) {
                        return None;
                    }
                    ingest.on_response(attempt.ticket, now, answer, &mut shared);
                }
                IngestStep::Done(job, outcome) => {
                    pass.hear(&job, &outcome).unwrap();
                    if !goes_on(&crawl, Some(job.key())) {
                        return None;
                    }
                }
                IngestStep::Idle { until, .. } => now = until.expect("it ends"),
                IngestStep::Finished(summary) => break summary,
            }
        };
        assert_eq!(pass.unseen(&summary).unwrap().count(), 0);
        Some(pass.finish(None).unwrap())
    }

    /// What a run would do, and what it says against keys. Nothing is written for it.
    pub(crate) fn check(&self, source: Vec<Entry>) -> (Report, Vec<String>) {
        let mut complaints = Vec::new();
        let crawl = self.crawl();
        let journal = fs::read(self.journal_path()).unwrap();
        let report = crawl.check(source, |complaint| {
            complaints.push(match complaint {
                Complaint::Key(key, why) => format!("{key}: {}", why.faults()[0].rule),
                Complaint::Line(line, _) => format!("line {line:?}"),
                other => panic!("{other:?}"),
            });
        });
        let report = report.unwrap();
        check(&report);
        assert!(fs::read(self.journal_path()).unwrap() == journal, "the journal was written");
        (report, complaints)
    }

    /// Makes the calls of the letters once more; new ones go to the same file.
    pub(crate) fn replay(&self, duplicates: Duplicates) -> Report {
        let moved = self.folder.path().join("moved.ndjson");
        fs::rename(self.letters_path(), &moved).unwrap();
        let letters = letters(&moved);
        self.replay_these(letters, duplicates)
    }

    pub(crate) fn replay_these(&self, these: Vec<DeadLetter>, duplicates: Duplicates) -> Report {
        let (crawl, client) = (self.crawl(), self.client());
        let report = crawl.over(&client).replay(these, duplicates, |_| {}).unwrap();
        check(&report);
        report
    }

    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        letters(&self.letters_path())
    }

    /// The keys of all letters.
    pub(crate) fn dead(&self) -> Vec<String> {
        self.letters().into_iter().map(|letter| letter.key.unwrap()).collect()
    }

    pub(crate) fn record(&self, key: &str) -> Option<Record> {
        self.crawl().journal().record(key).unwrap()
    }

    pub(crate) fn state(&self, key: &str) -> Option<State> {
        self.record(key).map(|known| known.state)
    }

    pub(crate) fn watermark(&self) -> Option<Vec<u8>> {
        self.crawl().journal().watermark().unwrap()
    }

    /// The titles of all items by the keys that their ids were made from.
    pub(crate) fn titles(&self) -> BTreeMap<String, String> {
        let items = self.emulator.items(CONNECTION).into_iter().map(|item| {
            let key = ItemId::existing(&item.id).unwrap().key().unwrap().into_owned();
            let title = item.properties.iter().find(|property| property.name == "title");
            (key, serde_json::from_str(&title.unwrap().json).unwrap())
        });
        items.collect()
    }

    /// By whom the item of a key was viewed, in the order of arrival.
    pub(crate) fn viewers(&self, key: &str) -> Vec<u128> {
        let id = ItemId::from_key(key);
        let activities = self.emulator.item_activities(CONNECTION, id.as_str());
        let who = |id: &str| u128::from_str_radix(&id.replace('-', ""), 16).unwrap();
        activities.iter().map(|activity| who(&activity.performed_by_id)).collect()
    }

    pub(crate) fn puts(&self) -> u64 {
        self.emulator.count("PUT item")
    }

    pub(crate) fn adds(&self) -> u64 {
        self.emulator.count("POST addActivities")
    }

    pub(crate) fn deletes(&self) -> u64 {
        self.emulator.count("DELETE item")
    }

    /// What is sent to an item of a key is answered so.
    pub(crate) fn fault(&self, method: &str, key: &str, effect: &str) {
        let item = ItemId::from_key(key);
        let path = format!("/external/connections/{CONNECTION}/items/{item}");
        let path = if method == "POST" { path + "/addActivities" } else { path };
        self.emulator.script(&format!("{method} {path}: {effect}")).unwrap();
    }
}

/// What holds of every report.
fn check(report: &Report) {
    assert_eq!(report.seen, report.ok + report.failed + report.skipped, "{report:?}");
    assert!(report.unchanged + report.overtaken <= report.skipped, "{report:?}");
}

/// In memory, where there is such a folder.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn letters(path: &Path) -> Vec<DeadLetter> {
    let file = BufReader::new(fs::File::open(path).unwrap());
    DeadLetterLines::new(file).map(|line| line.unwrap().1).collect()
}

pub(crate) fn root() -> ServiceRoot {
    ServiceRoot::v1()
}

pub(crate) fn connection() -> ConnectionId {
    ConnectionId::new(CONNECTION).unwrap()
}

pub(crate) fn item_for(key: &str, title: &str, acl: Acl) -> ExternalItem {
    let id = ItemId::from_key(key);
    ExternalItem::builder(id).acl(acl).property("title", title).build().unwrap()
}

pub(crate) fn item(key: &str, title: &str) -> ExternalItem {
    item_for(key, title, Acl::everyone(Guid::from(7)))
}

/// An item whose title is its key.
pub(crate) fn page(key: &str) -> Entry {
    titled(key, key)
}

pub(crate) fn titled(key: &str, title: &str) -> Entry {
    Entry::item(key, item(key, title))
}

pub(crate) fn pages<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<Entry> {
    keys.into_iter().map(page).collect()
}

/// Pages with these numbers.
pub(crate) fn numbered(numbers: std::ops::Range<u32>) -> Vec<Entry> {
    numbers.map(|number| page(&format!("page {number}"))).collect()
}

pub(crate) fn viewed(by: u128) -> ExternalActivity {
    let start = Timestamp::from_unix_seconds(1_767_323_045).unwrap();
    ExternalActivity::viewed(start, Identity::user(Guid::from(by)))
}

/// A page that was viewed by these.
pub(crate) fn viewed_page(key: &str, by: impl IntoIterator<Item = u128>) -> Entry {
    by.into_iter().fold(page(key), |entry, by| entry.with_activity(viewed(by)))
}

pub(crate) fn watermark(text: &str) -> Entry {
    Entry::Watermark(text.into())
}

pub(crate) fn refused(key: &str) -> Entry {
    Entry::refused(key, wrong())
}

pub(crate) fn wrong() -> BuildError {
    Fault::new(Rule::AclRequired, "$.acl", "nobody could see the item").into()
}

/// What stands before the service and may answer itself.
pub(crate) fn before<F>(emulator: &Emulator, answers: F) -> impl Transport + Sync + use<F>
where
    F: Fn(&http::Request<Bytes>) -> Option<Result<http::Response<Bytes>, Failure>>
        + Send
        + Sync
        + 'static,
{
    let emulator = emulator.clone();
    move |request: http::Request<Bytes>, options: &SendOptions| match answers(&request) {
        Some(answer) => answer,
        None => emulator.send(request, options),
    }
}
