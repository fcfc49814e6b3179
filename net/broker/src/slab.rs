//! Things with small numbers, which are used again.

/// Numbered things.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Keeps a thing and returns its number.
    pub(crate) fn insert(&mut self, thing: T) -> usize {
        if let Some(number) = self.free.pop()
            && let Some(place) = self.places.get_mut(number)
        {
            *place = Some(thing);
            return number;
        }
        self.places.push(Some(thing));
        self.places.len().saturating_sub(1)
    }

    /// Gives a thing back; its number is free.
    pub(crate) fn remove(&mut self, number: usize) -> Option<T> {
        let thing = self.places.get_mut(number)?.take()?;
        self.free.push(number);
        Some(thing)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.places.get(number)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.places.get_mut(number)?.as_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len().saturating_sub(self.free.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut slab = Slab::default();
        assert_eq!([slab.insert("a"), slab.insert("b")], [0, 1]);
        assert_eq!(slab.remove(0), Some("a"));
        assert_eq!((slab.remove(0), slab.get(0), slab.len()), (None, None, 1));
        assert_eq!(slab.insert("c"), 0);
        assert_eq!(slab.get_mut(0), Some(&mut "c"));
        assert_eq!(
            (slab.get(1), slab.get(2), slab.len()),
            (Some(&"b"), None, 2)
        );
    }
}
