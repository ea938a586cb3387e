"""What a machine must have, and how to get it: Debian's packages, and Odoo of Debian's; plain Python."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
VAR = ROOT / "var"
ODOO = VAR / "odoo19"
SITE = ODOO / "usr/lib/python3/dist-packages"

# Debian's package, and a file or command that tells whether it is there.
SYSTEM_PACKAGES = {
    "chromium": "chromium",
    "npm": "npm",
    "poppler-utils": "pdftoppm",
    "wkhtmltopdf": "wkhtmltopdf",
}
SERVER_PACKAGE = "postgresql"
ODOO_PACKAGES = (
    "odoo-19",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
    "fonts-font-awesome",
    "fonts-glyphicons-halflings",
    "fonts-inconsolata",
    "fonts-montserrat",
    "fonts-noto-core",
    "fonts-ocr-b",
    "fonts-roboto-unhinted",
    "gsfonts",
)


def say(text):
    print(f"==> {text}", flush=True)


def fail(text):
    print(f"dev: {text}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def run(*command, **options):
    """Run a command; end with its exit status if it fails."""
    done = subprocess.run([str(part) for part in command], **options)
    if done.returncode:
        fail(f"{' '.join(str(part) for part in command[:6])} … ended with {done.returncode}")
    return done


def output(*command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def is_root():
    return os.geteuid() == 0


def server_bin():
    """The folder of PostgreSQL's server programs, or None."""
    found = shutil.which("initdb")
    if found:
        return pathlib.Path(found).parent
    versions = sorted(
        pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0,
    )
    return versions[-1].parent if versions else None


def set_up_system():
    missing = [name for name, command in SYSTEM_PACKAGES.items() if not shutil.which(command)]
    if not os.environ.get("PGHOST") and not server_bin():
        missing.append(SERVER_PACKAGE)
    if os.environ.get("PGHOST") and not shutil.which("psql"):
        missing.append("postgresql-client")
    if not missing:
        return
    if not is_root() or not shutil.which("apt-get"):
        fail(f"these system packages are missing, install them first: {' '.join(missing)}")
    say(f"system packages: installing {' '.join(missing)}")
    log = VAR / "apt.log"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("w") as stream:
        for command in (
            ["apt-get", "update"],
            ["apt-get", "install", "-y", "--no-install-recommends", *missing],
        ):
            done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
    if done.returncode:
        fail(f"apt-get install failed, see {log}")


def debian_mirror():
    """The address this machine's own apt sources use for Debian's main archive."""
    listed = output(
        "apt-get", "indextargets", "--format", "$(SITE)|$(RELEASE)", "Created-By: Packages"
    )
    for line in listed.splitlines():
        site, _, release = line.partition("|")
        if release and "security" not in site and "-" not in release and "debian" in site:
            return site
    return fail(
        "no Debian mirror in apt's sources; give Odoo 19 by ODOO_PATH=/folder/that/holds/the/odoo/package"
    )


def download_odoo():
    """Unpack Debian's odoo-19 and the libraries its web client links to into one ignored folder."""
    if (SITE / "odoo" / "release.py").exists():
        return
    if not shutil.which("apt-get"):
        fail("no Odoo 19 here and no apt-get to fetch it; give one by ODOO_PATH=…")
    say("Odoo 19: downloading Debian's package")
    apt = VAR / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "debs"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "odoo.sources").write_text(
        f"Types: deb\nURIs: {debian_mirror()}\nSuites: sid\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    options = []
    for option in (
        f"Dir::State::Lists={apt}/lists",
        f"Dir::Cache={apt}/cache",
        f"Dir::Etc::sourcelist={apt}/odoo.sources",
        "Dir::Etc::sourceparts=/dev/null",
        "APT::Sandbox::User=root",
    ):
        options += ["-o", option]
    run("apt-get", *options, "-qq", "update")
    run("apt-get", *options, "-qq", "download", *ODOO_PACKAGES, cwd=apt / "debs")
    partial = VAR / "odoo19.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for package in sorted((apt / "debs").glob("*.deb")):
        run("dpkg", "-x", package, partial)
    # The package leaves this library out, and the web client asks for it on every page.
    selfie = (
        partial / "usr/lib/python3/dist-packages/odoo/addons/mail/static/lib/selfie_segmentation"
    )
    selfie.mkdir(parents=True, exist_ok=True)
    (selfie / "selfie_segmentation.js").touch()
    shutil.rmtree(ODOO, ignore_errors=True)
    partial.rename(ODOO)
    shutil.rmtree(apt, ignore_errors=True)
