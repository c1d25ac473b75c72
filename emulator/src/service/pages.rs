//! The pages of a list, and the links from one to the next.
//!
//! Sources: the page on paging; the example of projectrome-get-activities, after which a link is
//! made: a literal `$`, lower-case hexadecimal digits, and `+` for a space.

use std::{
    cmp::Reverse,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroUsize,
};

use super::Run;
use crate::{
    date::{self, Moment},
    findings::Refusal,
    incoming::Call,
    rules::Rule,
    target,
    write::Object,
};

/// Where an entry stands in its list. A page begins behind a place and not after a number of
/// entries, so that none is missed while others come and go.
pub(super) trait Place: Ord + Sized {
    /// As a comparison that all entries behind it meet.
    fn write(&self) -> String;
    /// Reads what [`write`](Self::write) writes.
    fn read(text: &str) -> Option<Self>;
}

/// The latest comes first, and of those of one time the one that was made last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newest(Reverse<(Moment, u64)>);

impl Newest {
    pub(super) fn new(time: Moment, number: u64) -> Self {
        Self(Reverse((time, number)))
    }
}

impl Place for Newest {
    fn write(&self) -> String {
        let Reverse((time, number)) = self.0;
        format!("lastModifiedDateTime lt {} or number lt {number}", time.exact())
    }

    fn read(text: &str) -> Option<Self> {
        let (time, number) =
            text.strip_prefix("lastModifiedDateTime lt ")?.split_once(" or number lt ")?;
        Some(Self::new(date::read(time).ok()?, number.parse().ok()?))
    }
}

/// In the order of the ids.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ById(pub(super) String);

impl Place for ById {
    fn write(&self) -> String {
        format!("id gt {}", self.0)
    }

    fn read(text: &str) -> Option<Self> {
        Some(Self(text.strip_prefix("id gt ")?.to_owned()))
    }
}

/// A page of a list.
pub(super) struct Page<T> {
    entries: Vec<T>,
    next: Option<String>,
}

impl<T> Page<T> {
    /// Writes the link and the entries.
    pub(super) fn write(self, body: &mut Object<'_>, fill: impl FnMut(&mut Object<'_>, T)) {
        if let Some(next) = self.next {
            body.text("@odata.nextLink", &next);
        }
        body.objects("value", self.entries, fill);
    }
}

/// Where a page begins.
enum Begin<P> {
    /// A list is asked for, and no link was followed.
    Anew,
    /// Behind the empty page.
    First,
    Behind(P),
}

/// Stands in a link for [`Begin::First`].
const FIRST: &str = "true";
/// Stands before a sum over the whole link, which no client can make up.
const SEAL: &str = " and seal eq ";

impl Run<'_> {
    /// The page of a list that a call asks for, with at most `top` entries.
    pub(super) fn page<P: Place, T>(
        &self,
        call: &Call<'_>,
        top: Option<NonZeroUsize>,
        list: impl IntoIterator<Item = (P, T)>,
    ) -> Result<Page<T>, Refusal> {
        let (options, begin) = self.begin(call)?;
        let link = |place: &str| {
            let query = self.sealed(call, &options, place);
            format!("{}{}?{query}", call.origin, call.uri.path())
        };
        let behind = match begin {
            Begin::Anew if self.options.behaviour.empty_page => {
                return Ok(Page { entries: Vec::new(), next: Some(link(FIRST)) });
            }
            Begin::Anew | Begin::First => None,
            Begin::Behind(place) => Some(place),
        };
        let mut rest: Vec<(P, T)> = list
            .into_iter()
            .filter(|(place, _)| behind.as_ref().is_none_or(|behind| place > behind))
            .collect();
        rest.sort_by(|(one, _), (other, _)| one.cmp(other));
        let most = top.into_iter().chain(self.options.behaviour.page_size).min();
        let more = most.map(NonZeroUsize::get).filter(|most| rest.len() > *most);
        let next = more.and_then(|most| {
            rest.truncate(most);
            rest.last().map(|(place, _)| link(&place.write()))
        });
        Ok(Page { entries: rest.into_iter().map(|(_, entry)| entry).collect(), next })
    }

    /// The options that go into the next link, and where the page begins.
    fn begin<P: Place>(&self, call: &Call<'_>) -> Result<(String, Begin<P>), Refusal> {
        let query = call.uri.query().unwrap_or_default();
        if call.query.iter().all(|(name, _)| name != "$skiptoken") {
            let and = if query.is_empty() { "" } else { "&" };
            return Ok((format!("{query}{and}"), Begin::Anew));
        }
        let read = || {
            let (options, token) = query.rsplit_once("$skiptoken=")?;
            let text = target::decode(&token.replace('+', " "))?.into_owned();
            let (place, _) = text.strip_prefix("$filter=")?.rsplit_once(SEAL)?;
            if self.sealed(call, options, place) != query {
                return None;
            }
            let begin = match place {
                FIRST => Begin::First,
                place => Begin::Behind(P::read(place)?),
            };
            Some((options.to_owned(), begin))
        };
        read().ok_or_else(|| {
            Refusal::new(
                Rule::QueryOption,
                "query $skiptoken",
                "no page of this list had this link; follow @odata.nextLink byte for byte, and \
                 add nothing to it",
            )
        })
    }

    /// The query of a link: the options that the list was first asked for with, and the place.
    fn sealed(&self, call: &Call<'_>, options: &str, place: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (self.options.seed, call.uri.path(), options, place).hash(&mut hasher);
        let text = format!("$filter={place}{SEAL}{:016x}", hasher.finish());
        format!("{options}$skiptoken={}", escaped(&text))
    }
}

/// As the example escapes it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            b'-' | b'.' | b'_' => escaped.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_escaped_as_in_the_example() {
        assert_eq!(
            escaped("$filter=lastModifiedDateTime lt 2018-02-26T18:06:19.365Z"),
            "%24filter%3dlastModifiedDateTime+lt+2018-02-26T18%3a06%3a19.365Z"
        );
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let at = |text| date::read(text).expect("a date");
        let times = ["0001-01-01T00:00:00Z", "2026-01-01T00:00:02.500000001Z"];
        for (time, number) in times.into_iter().flat_map(|time| [(time, 0), (time, u64::MAX)]) {
            let place = Newest::new(at(time), number);
            assert!(Newest::read(&place.write()) == Some(place), "{time} {number}");
        }
        assert!(
            ById::read(&ById("contosohr".to_owned()).write()).is_some_and(|id| id.0 == "contosohr")
        );
        let (old, new) = (Newest::new(at(times[0]), 7), Newest::new(at(times[1]), 0));
        assert!(new < old && Newest::new(at(times[0]), 8) < old);
    }
}
