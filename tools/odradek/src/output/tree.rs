//! Anything that can be written as JSON, with its fields in order: what YAML and CSV are made of.
//!
//! Source: YAML 1.2 (of which JSON's quoted text is a part), RFC 4180 for CSV.

use crate::failure::{Failure, Kind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;
use std::fmt::{self, Write};

/// A value of JSON whose objects keep the order of their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Nothing.
    Null,
    /// A number or a truth value, as JSON writes it.
    Plain(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// An object.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// The tree of anything that can be written as JSON.
    pub fn of(item: &impl Serialize) -> Result<Self, Failure> {
        let failed =
            |error| Failure::new(Kind::Failed, format!("cannot write the output: {error}"));
        let text = serde_json::to_string(item).map_err(failed)?;
        serde_json::from_str(&text).map_err(failed)
    }

    /// As JSON on one line.
    fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Plain(text) => text.clone(),
            Self::Text(text) => quoted(text),
            Self::List(list) => {
                let list: Vec<String> = list.iter().map(Self::json).collect();
                format!("[{}]", list.join(","))
            }
            Self::Map(map) => {
                let map: Vec<String> = map
                    .iter()
                    .map(|(name, tree)| format!("{}:{}", quoted(name), tree.json()))
                    .collect();
                format!("{{{}}}", map.join(","))
            }
        }
    }

    fn is_flat(&self) -> bool {
        match self {
            Self::List(list) => list.iter().all(|tree| !matches!(tree, Self::Map(_))),
            Self::Map(map) => map.is_empty(),
            _ => true,
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Builder;

        impl<'de> Visitor<'de> for Builder {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of JSON")
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Plain(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Plain(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Plain(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Plain(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
                let mut list = Vec::new();
                while let Some(tree) = access.next_element()? {
                    list.push(tree);
                }
                Ok(Tree::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    map.push(entry);
                }
                Ok(Tree::Map(map))
            }
        }

        deserializer.deserialize_any(Builder)
    }
}

/// One element of the list `items`, in YAML.
pub fn yaml_item(tree: &Tree) -> String {
    let mut out = String::new();
    item(&mut out, tree, 2);
    out
}

fn item(out: &mut String, tree: &Tree, indent: usize) {
    match tree {
        Tree::Map(map) if !map.is_empty() => {
            let mut lead = format!("{:indent$}- ", "");
            for (name, tree) in map {
                field(out, &lead, name, tree, indent + 2);
                lead = " ".repeat(indent + 2);
            }
        }
        other => {
            let _ = writeln!(out, "{:indent$}- {}", "", scalar(other));
        }
    }
}

fn field(out: &mut String, lead: &str, name: &str, tree: &Tree, indent: usize) {
    let name = scalar(&Tree::Text(name.to_owned()));
    match tree {
        Tree::List(list) if !tree.is_flat() => {
            let _ = writeln!(out, "{lead}{name}:");
            for tree in list {
                item(out, tree, indent + 2);
            }
        }
        Tree::Map(map) if !map.is_empty() => {
            let _ = writeln!(out, "{lead}{name}:");
            let lead = " ".repeat(indent + 2);
            for (name, tree) in map {
                field(out, &lead, name, tree, indent + 2);
            }
        }
        flat => {
            let _ = writeln!(out, "{lead}{name}: {}", scalar(flat));
        }
    }
}

/// Words that YAML readers of one version or another do not take for text.
const WORDS: &[&str] = &[
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
];

fn scalar(tree: &Tree) -> String {
    match tree {
        Tree::Text(text) if is_plain(text) => text.clone(),
        // Flow style is JSON, which is YAML.
        other => other.json(),
    }
}

fn is_plain(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || "_./-".contains(letter);
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(is_inner)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// The names of an object's fields, and the fields, as cells of CSV without quotes.
pub fn csv_cells(tree: &Tree) -> (Vec<String>, Vec<String>) {
    let Tree::Map(map) = tree else {
        return (vec!["value".to_owned()], vec![cell(tree)]);
    };
    map.iter()
        .map(|(name, tree)| (name.clone(), cell(tree)))
        .unzip()
}

/// Null is empty, a list or an object is JSON.
fn cell(tree: &Tree) -> String {
    match tree {
        Tree::Null => String::new(),
        Tree::Text(text) => text.clone(),
        other => other.json(),
    }
}

/// A line of CSV without its end: cells with quotes where they need them.
pub fn csv_line(cells: &[String]) -> String {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.clone()
            }
        })
        .collect();
    cells.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(json: &str) -> Tree {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn yaml_keeps_order_and_quotes_what_is_no_plain_text() {
        let tree = tree(
            r#"{"z":1,"a":"plain","b":"yes","c":"1x","d":null,"e":[1,2],"f":[{"k":"v","l":[]}],
               "g":{"h":true},"i":"a: b\n","j":{}}"#,
        );
        assert_eq!(
            yaml_item(&tree),
            "  - z: 1\n    a: plain\n    b: \"yes\"\n    c: \"1x\"\n    d: null\n    e: [1,2]\n    f:\n      \
             - k: v\n        l: []\n    g:\n      h: true\n    i: \"a: b\\n\"\n    j: {}\n"
        );
    }

    #[test]
    fn csv_quotes_as_rfc_4180_says() {
        let (names, cells) = csv_cells(&tree(
            r#"{"a":"x,y","b":"say \"hi\"","c":null,"d":[1,"q"],"e":-5,"f":"l\n"}"#,
        ));
        assert_eq!(csv_line(&names), "a,b,c,d,e,f");
        assert_eq!(
            csv_line(&cells),
            "\"x,y\",\"say \"\"hi\"\"\",,\"[1,\"\"q\"\"]\",-5,\"l\n\""
        );
    }
}
