"""Group short texts by topic. Three of its imports go by another name where they are published."""

import csv
from pathlib import Path

import yaml
from bs4 import BeautifulSoup
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer

settings = yaml.safe_load(Path("settings.yaml").read_text())
page = BeautifulSoup(Path("abstracts.html").read_text(), "html.parser")
abstracts = {article["id"]: article.p.get_text(" ", strip=True) for article in page.find_all("article")}

vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True)
weights = vectorizer.fit_transform(abstracts.values())
model = KMeans(settings["topics"], n_init=20, random_state=settings["seed"]).fit(weights)

words = vectorizer.get_feature_names_out()
with open("topics.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["abstract", "topic"])
    table.writerows(zip(abstracts, model.labels_, strict=True))
for topic, center in enumerate(model.cluster_centers_):
    strongest = center.argsort()[::-1][: settings["words"]]
    members = [name for name, label in zip(abstracts, model.labels_, strict=True) if label == topic]
    print(f"topic {topic}: {', '.join(words[strongest])} ({', '.join(members)})")
