"""City packs: what makes an installation serve a city, as files that the city itself can keep."""
