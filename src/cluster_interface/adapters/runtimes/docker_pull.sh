# docker's part of job.sh where the site has a registry. Set above: pulled (the image by digest), tag.
take_image() {
    "$docker" pull --quiet "$pulled" >/dev/null && "$docker" tag "$pulled" "$tag"
}
