//! The certificates of a cluster, by openssl: an authority, and what it signs.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::space::run;
use crate::bench::Part;
use crate::http::base64;

/// An authority with its files in a folder.
#[derive(Debug)]
pub(crate) struct Authority {
    openssl: Part,
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new(openssl: Part, folder: PathBuf) -> Self {
        fs::create_dir(&folder).expect("the folder can be made");
        let authority = Self { openssl, folder };
        // Of its own: what an openssl finds elsewhere differs between machines.
        fs::write(authority.path("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n").expect("it is ours");
        for key in ["ca.key", "leaf.key"] {
            let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"];
            authority.openssl(&curve, &[key]);
        }
        let extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature"];
        authority.certificate("ca.crt", "/CN=bench authority", &extensions, false);
        authority.openssl(&["pkey", "-pubout", "-in", "leaf.key", "-out"], &["leaf.pub"]);
        authority
    }

    /// The path of one of its files: `ca.crt`, `leaf.key` (the one key of all that it signs), `leaf.pub`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A certificate for a server at an address, as `NAME.crt`.
    pub(crate) fn server(&self, name: &str, address: Ipv4Addr, more: &[&str]) -> PathBuf {
        let address = format!("IP:{address}");
        let names = [&[address.as_str(), "IP:127.0.0.1", "DNS:localhost"], more].concat().join(",");
        let names = format!("subjectAltName={names}");
        let file = format!("{name}.crt");
        self.certificate(&file, &format!("/CN={name}"), &[&names, "extendedKeyUsage=serverAuth"], true);
        self.path(&file)
    }

    /// A kubeconfig, without references to files, for a user who belongs to groups.
    pub(crate) fn kubeconfig(&self, server: &str, user: &str, groups: &[&str]) -> String {
        let groups: String = groups.iter().flat_map(|group| ["/O=", group]).collect();
        let file = format!("client-{}.crt", user.replace(|sign: char| !sign.is_ascii_alphanumeric(), "-"));
        self.certificate(&file, &format!("{groups}/CN={user}"), &["extendedKeyUsage=clientAuth"], true);
        let data = |file: &Path| base64(&fs::read(file).expect("it was just made"));
        let authority = data(&self.path("ca.crt"));
        let (certificate, key) = (data(&self.path(&file)), data(&self.path("leaf.key")));
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: bench\n\
             \x20 cluster: {{server: \"{server}\", certificate-authority-data: {authority}}}\n\
             users:\n\
             - name: \"{user}\"\n\
             \x20 user: {{client-certificate-data: {certificate}, client-key-data: {key}}}\n\
             contexts:\n\
             - name: bench\n\
             \x20 context: {{cluster: bench, user: \"{user}\"}}\n\
             current-context: bench\n"
        )
    }

    fn certificate(&self, file: &str, subject: &str, extensions: &[&str], signed: bool) {
        let mut words = vec!["req", "-x509", "-new", "-days", "30", "-config", "openssl.cnf", "-subj", subject];
        for extension in extensions {
            words.extend(["-addext", extension]);
        }
        if signed {
            words.extend(["-key", "leaf.key", "-CA", "ca.crt", "-CAkey", "ca.key"]);
        } else {
            words.extend(["-key", "ca.key"]);
        }
        words.push("-out");
        self.openssl(&words, &[file]);
    }

    fn openssl(&self, words: &[&str], more: &[&str]) {
        let mut command = self.openssl.command();
        command.current_dir(&self.folder).args(words).args(more);
        run(&mut command).unwrap_or_else(|problem| panic!("{problem}"));
    }
}
