//! Age and gender as parameters of a face.

use gst::{Structure, StructureRef};

use super::{AGE, GENDER, ParamError};

/// Estimated age: an attribute whose label is the number of years.
#[derive(Clone, Debug, PartialEq)]
pub struct Age {
    /// Years.
    pub years: f32,
    /// The model that said so.
    pub model_name: String,
}

impl From<&Age> for Structure {
    fn from(age: &Age) -> Self {
        Structure::builder(AGE)
            .field("label", format!("{:.0}", age.years))
            .field("label_id", age.years.round() as i32)
            .field("years", f64::from(age.years))
            .field("confidence", 1.0)
            .field("model_name", &age.model_name)
            .build()
    }
}

impl TryFrom<&StructureRef> for Age {
    type Error = ParamError;

    fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
        let label: String = structure.get("label")?;
        let years = structure.get::<f64>("years").map(|years| years as f32).ok();
        let years = years.or_else(|| label.parse().ok()).filter(|years| years.is_finite());
        Ok(Self {
            years: years.ok_or(ParamError::Value("an age is not a number"))?,
            model_name: structure.get("model_name")?,
        })
    }
}

/// Apparent gender: an attribute whose label is `female` or `male`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gender {
    /// What the model sees.
    pub gender: vedette_events::Gender,
    /// How sure it is, 0…1.
    pub confidence: f64,
    /// The model that said so.
    pub model_name: String,
}

impl Gender {
    /// The label as a number.
    pub fn label_id(&self) -> i32 {
        match self.gender {
            vedette_events::Gender::Female => 0,
            vedette_events::Gender::Male => 1,
        }
    }
}

impl From<&Gender> for Structure {
    fn from(gender: &Gender) -> Self {
        Structure::builder(GENDER)
            .field("label", gender.gender.as_str())
            .field("label_id", gender.label_id())
            .field("confidence", gender.confidence)
            .field("model_name", &gender.model_name)
            .build()
    }
}

impl TryFrom<&StructureRef> for Gender {
    type Error = ParamError;

    fn try_from(structure: &StructureRef) -> Result<Self, ParamError> {
        let gender = match structure.get::<&str>("label")? {
            "female" => vedette_events::Gender::Female,
            "male" => vedette_events::Gender::Male,
            _ => return Err(ParamError::Value("a gender is neither female nor male")),
        };
        Ok(Self {
            gender,
            confidence: structure.get("confidence").unwrap_or_default(),
            model_name: structure.get("model_name")?,
        })
    }
}
