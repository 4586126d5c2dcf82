//! "Did you mean": the candidate nearest to what was written.

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let keys = ["name", "base_path", "domains"];
        assert_eq!(nearest("domain", keys), Some("domains"));
        assert_eq!(nearest("base-path", keys), Some("base_path"));
        assert_eq!(nearest("NAME", keys), Some("name"));
        assert_eq!(nearest("timeout", keys), None);
    }
}
