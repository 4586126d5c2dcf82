//! Clients that are turned away for want of room: it is told when it begins and when it is over, however many they are.

/// Looks in a row without anyone turned away, after which it is over.
const QUIET_LOOKS: u32 = 10;

#[derive(Debug, Default)]
pub struct TurnedAway {
    /// How many there were at the last look.
    seen: u64,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    /// How many there had been before.
    before: u64,
    quiet_looks: u32,
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    Begins,
    /// So many were turned away.
    Ends(u64),
}

impl TurnedAway {
    /// Looks at how many have been turned away in all.
    pub fn look(&mut self, total: u64) -> Option<Turn> {
        let before = std::mem::replace(&mut self.seen, total);
        match &mut self.begun {
            None if total > before => {
                self.begun = Some(Begun { before, quiet_looks: 0 });
                Some(Turn::Begins)
            }
            None => None,
            Some(begun) => {
                begun.quiet_looks = if total > before { 0 } else { begun.quiet_looks + 1 };
                self.begun.take_if(|begun| begun.quiet_looks >= QUIET_LOOKS).map(|begun| Turn::Ends(total - begun.before))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_are_turned_away_it_is_told_twice() {
        let mut turned_away = TurnedAway::default();
        assert_eq!(turned_away.look(0), None);
        assert_eq!(turned_away.look(3), Some(Turn::Begins));
        assert!((4..1000).all(|total| turned_away.look(total).is_none()));
        // A pause does not end it.
        assert!((1..QUIET_LOOKS).all(|_| turned_away.look(999).is_none()));
        assert_eq!(turned_away.look(1000), None);
        assert!((1..QUIET_LOOKS).all(|_| turned_away.look(1000).is_none()));
        assert_eq!(turned_away.look(1000), Some(Turn::Ends(1000)));
        assert_eq!(turned_away.look(1000), None);
        assert_eq!(turned_away.look(1001), Some(Turn::Begins), "and it may begin again");
    }
}
