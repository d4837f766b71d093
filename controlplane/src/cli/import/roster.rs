//! The table of people: read and checked as a whole before anyone is registered.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

/// Columns a table may have.
const COLUMNS: [&str; 7] = ["name", "email", "employee_id", "phone", "department", "designation", "photos"];
/// Between the names in the column `photos`.
const PHOTO_SEPARATOR: char = ';';
/// What is taken from a person's folder.
const PHOTO_EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// One person of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Line of the file.
    pub(super) line: u64,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) employee_id: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) department: Option<String>,
    pub(super) designation: Option<String>,
    /// The files, or why there are none to use.
    pub(super) photos: Result<Vec<PathBuf>, String>,
}

impl Row {
    /// The fields of a registration.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let optional = [
            ("email", &self.email),
            ("employee_id", &self.employee_id),
            ("phone", &self.phone),
            ("department", &self.department),
            ("designation", &self.designation),
        ];
        let given = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        std::iter::once(("name", self.name.as_str())).chain(given)
    }
}

/// The people of a table, with their photos below `folder`.
pub(super) fn read(table: impl Read, folder: &Path) -> Result<Vec<Row>> {
    ensure!(folder.is_dir(), "there is no folder `{}` with photos", folder.display());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let headers = reader.headers().context("the first line must name the columns")?.clone();
    let mut columns = [None; COLUMNS.len()];
    for (index, header) in headers.iter().enumerate() {
        let known = COLUMNS.iter().position(|column| header.eq_ignore_ascii_case(column));
        let Some(known) = known else {
            bail!("there is no column `{header}`; there are {}, separated by commas", COLUMNS.join(", "));
        };
        ensure!(columns[known].replace(index).is_none(), "the column `{header}` is there twice");
    }
    ensure!(columns[0].is_some(), "the column `name` is missing");
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize| {
            let text = columns[column].and_then(|index| record.get(index)).unwrap_or_default();
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        let name = cell(0).with_context(|| format!("line {line}: the name is missing"))?;
        let employee_id = cell(2);
        let photos = match cell(6) {
            Some(list) => listed(&list, folder),
            None => in_own_folder(employee_id.as_deref(), folder),
        };
        rows.push(Row {
            line,
            name,
            email: cell(1),
            employee_id,
            phone: cell(3),
            department: cell(4),
            designation: cell(5),
            photos,
        });
    }
    Ok(rows)
}

/// The files of the column `photos`.
fn listed(list: &str, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let names = list.split(PHOTO_SEPARATOR).map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| below(folder, name)).collect()
}

/// Everything in the folder named after the employee id.
fn in_own_folder(employee_id: Option<&str>, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let employee_id = employee_id.ok_or("no photos: neither are any listed nor is there an employee_id")?;
    let own = below(folder, employee_id)?;
    let entries = fs::read_dir(&own).map_err(|error| format!("no photos in `{}`: {error}", own.display()))?;
    let is_photo = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        PHOTO_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    };
    let mut photos: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_photo).collect();
    photos.sort();
    if photos.is_empty() {
        return Err(format!("no photos in `{}`", own.display()));
    }
    Ok(photos)
}

/// A name below `folder`: a table that came from elsewhere must not have other files of this machine sent.
fn below(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_inside || name.is_empty() {
        return Err(format!("`{name}` leads out of the folder with the photos"));
    }
    Ok(folder.join(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("7")).unwrap();
        for name in ["7/b.jpg", "7/a.JPG", "7/notes.txt"] {
            fs::write(folder.path().join(name), []).unwrap();
        }
        folder
    }

    #[test]
    fn photos_are_listed_or_in_a_folder_of_the_employee_id() {
        let folder = folder();
        let table =
            "\u{feff}employee_id,Name,photos,email\n7,Ada,,\n8, Grace ,x.jpg; y/z.png;,g@example.org\n";
        let rows = read(table.as_bytes(), folder.path()).unwrap();
        let inside = |name: &str| folder.path().join(name);
        assert_eq!(rows[0].photos, Ok(vec![inside("7/a.JPG"), inside("7/b.jpg")]));
        assert_eq!((rows[0].line, rows[0].email.as_deref()), (2, None));
        assert_eq!(rows[1].photos, Ok(vec![inside("x.jpg"), inside("y/z.png")]));
        let fields: Vec<_> = rows[1].fields().collect();
        assert_eq!(fields, [("name", "Grace"), ("email", "g@example.org"), ("employee_id", "8")]);
    }

    #[test]
    fn photos_outside_the_folder_are_not_sent() {
        let folder = folder();
        let table = "name,employee_id,photos\nA,,/etc/passwd\nB,,../x.jpg\nC,..,\nD,,\nE,9,\n";
        let rows = read(table.as_bytes(), folder.path()).unwrap();
        assert!(rows.iter().all(|row| row.photos.is_err()), "{rows:?}");
    }

    #[test]
    fn mistakes_of_the_table_are_named() {
        let folder = folder();
        let mistake = |table: &str| format!("{:#}", read(table.as_bytes(), folder.path()).unwrap_err());
        assert!(mistake("nome\nAda\n").contains("nome"));
        assert!(mistake("name;email\nAda;\n").contains("commas"));
        assert!(mistake("email\na@b\n").contains("`name` is missing"));
        assert!(mistake("name,name\nAda,Ada\n").contains("twice"));
        assert!(mistake("name,email\nAda,\n,b@c\n").contains("line 3"));
        assert!(mistake("name,email\nAda\n").contains("line"));
        assert!(read("name\n".as_bytes(), &folder.path().join("nowhere")).is_err());
    }
}
