//! What may be shown of names and phone numbers.

/// Hides all of a name but its first character.
pub fn masked_name(name: &str) -> String {
    let length = name.chars().count();
    let first: String = name.chars().take(1).collect();
    first + &"*".repeat(length.saturating_sub(1))
}

/// Hides all of a phone number but its last four digits.
pub fn masked_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    let hidden = digits.len().saturating_sub(4);
    let last: String = digits.iter().skip(hidden).collect();
    "*".repeat(hidden) + &last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_and_four_digits_are_shown() {
        let cases = [
            ("王小明", "13912345678", "王**", "*******5678"),
            ("Li", "+86 139-1234-5678", "L*", "*********5678"),
            ("欧", "", "欧", ""),
            ("Ann", "12345", "A**", "*2345"),
        ];
        for (name, phone, shown_name, shown_phone) in cases {
            let shown = (masked_name(name), masked_phone(phone));
            assert_eq!(shown, (shown_name.to_owned(), shown_phone.to_owned()));
        }
    }
}
