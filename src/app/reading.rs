//! Questions for groups: a page of those that a search finds, and one of them with what it holds.

use super::grouping::{self, GroupingError};
use super::query::LINES_PER_STEP;
use super::query::groups::{Selecting, Selection};
use super::query::stream::{JsonBody, OneGroupJson, OneGroupText};
use super::reply::{Reply, ReplyBody};
use super::route::GroupingPath;
use super::work::Work;
use super::{Answer, App, TEXT, etag, long_json, media, with_cors};
use crate::http::Request;
use crate::store::GroupKey;
use crate::telemetry::{Handler, Method};

/// A question for one group.
#[derive(Debug)]
pub struct Showing {
    key: GroupKey,
    is_text: bool,
    /// The tags that the client knows, as sent.
    known_tags: Vec<Box<[u8]>>,
}

impl Showing {
    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        self.key.as_bytes().len() + self.known_tags.iter().map(|tag| tag.len()).sum::<usize>()
    }
}

impl App {
    /// Answers with a page of groups.
    pub(super) fn groups(&mut self, request: &Request<'_>, method: Method) -> Answer {
        if let Some(reply) = self.unavailable(Some(Handler::ApiGroups)) {
            return self.answer_query(reply, method);
        }
        match Selection::parse(request.query().unwrap_or_default()) {
            Ok(selection) => self.select(Box::new(Selecting::new(selection, self.settings.names)), method),
            Err(error) => self.answer_query(Reply::error(400, &error), method),
        }
    }

    /// Goes on choosing a page of groups.
    pub(super) fn select(&mut self, mut selecting: Box<Selecting>, method: Method) -> Answer {
        match selecting.go_on(&self.store, &mut { LINES_PER_STEP }) {
            Some(list) => self.answer_query(long_json(JsonBody::List(list)), method),
            None => Answer::Working(Work::Select(selecting, method)),
        }
    }

    /// Answers with one group.
    pub(super) fn group(&mut self, path: GroupingPath<'_>, request: &Request<'_>, method: Method) -> Answer {
        let reply = match grouping::parse(&path, self.settings.names, &mut self.labels) {
            Ok(()) => match self.unavailable(Some(Handler::ApiGroups)) {
                Some(reply) => reply,
                None => {
                    let tags = request.headers.all("if-none-match");
                    let showing = Showing {
                        key: GroupKey::new(self.labels.iter()),
                        is_text: media::prefers_text(request.headers.first("accept").unwrap_or_default()),
                        known_tags: tags.map(Box::from).collect(),
                    };
                    return self.show_group(Box::new(showing), method);
                }
            },
            Err(GroupingError::NotUtf8 { .. }) => no_group(),
            Err(error) => Reply::error(400, &error),
        };
        self.answer_query(reply, method)
    }

    /// Answers with one group, unless a long change of it is on its way.
    pub(super) fn show_group(&mut self, showing: Box<Showing>, method: Method) -> Answer {
        if self.store.is_group_changing(&showing.key) {
            return Answer::Working(Work::Show(showing, method));
        }
        let Showing { key, is_text, known_tags } = *showing;
        let Some(group) = self.store.group(&key) else { return self.answer_query(no_group(), method) };
        // A group changes with pushes to it, and with nothing else.
        let tag = format!("{:x}-{:x}-{}", group.pushed().0, group.failed().0, u8::from(is_text));
        let reply = if etag::is_known(known_tags.iter().map(|tag| &**tag), &tag) {
            Reply::empty(304)
        } else if is_text {
            let body = ReplyBody::Json(Box::new(JsonBody::GroupText(OneGroupText::new(&group))));
            Reply { body, content_type: Some(TEXT), ..Reply::empty(200) }
        } else {
            long_json(JsonBody::Group(OneGroupJson::new(&group, self.settings.names)))
        };
        self.answer_query(reply.header("ETag", etag::shown(&tag)).header("Vary", "Accept"), method)
    }

    fn answer_query(&mut self, reply: Reply, method: Method) -> Answer {
        self.telemetry.count_request(Handler::ApiGroups, method, reply.status);
        Answer::Reply(with_cors(reply))
    }
}

fn no_group() -> Reply {
    Reply::error(404, &"there is no such group")
}
