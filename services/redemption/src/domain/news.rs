//! News: what a transaction makes happen, and what members are to be told of it. They are written as its last statements.

use uuid::Uuid;

use super::{Book, Card, CardChange, Content, Happened, NewEvent, Telling};

/// What to write when a transaction ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// In the order in which it happened.
    pub events: Vec<NewEvent>,
    /// What members are told.
    pub tellings: Vec<Telling>,
}

impl News {
    /// Nothing happened that anybody wants to hear of.
    pub fn none() -> Self {
        Self::default()
    }

    /// What the calls and answers of a batch have led to. Each telling gets an id.
    pub fn of_book(book: &Book, mut id_of_telling: impl FnMut() -> Uuid) -> Self {
        let mut news = Self::none();
        for (step, _, to) in &book.changes.transitions {
            let Some(redemption) = book.redemptions.get(&step.redemption) else {
                continue;
            };
            let happened = Happened::of_transition(step, *to);
            let event = happened.map(|happened| NewEvent::of_redemption(happened, redemption));
            news.events.extend(event);
            let content = Content::of_transition(step, *to, redemption);
            news.tellings.extend(content.map(|content| Telling {
                id: id_of_telling(),
                member: redemption.member,
                content,
            }));
        }
        news
    }

    /// Something became of a card, which its member is told.
    pub fn of_card(change: CardChange, card: &Card, id_of_telling: Uuid) -> Self {
        Self {
            events: vec![NewEvent::of_card(change, card)],
            tellings: vec![Telling {
                id: id_of_telling,
                member: card.member,
                content: Content::CardChanged {
                    card: card.id,
                    change,
                },
            }],
        }
    }
}

impl From<NewEvent> for News {
    fn from(event: NewEvent) -> Self {
        Self {
            events: vec![event],
            tellings: Vec::new(),
        }
    }
}
