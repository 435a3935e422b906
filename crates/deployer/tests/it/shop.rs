//! A small shop: two services with images, one of configuration only.

use deployer::{
    ForeignNamespace, ImagePin, LeftoverRule, NamespaceRule, NotDeployed, Plan, PlanProblem, RenderRequest,
    RenderService, RenderedTree, plan,
};

pub(crate) const CART: &str = "\
# The cart.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
spec:
  template:
    spec:
      containers:
      - name: cart
        image: registry.example/shop/cart:latest   # whatever
---
apiVersion: v1
kind: Service
metadata: { name: cart }
spec: { ports: [ { port: 80 } ] }
";

pub(crate) const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop-staging }
spec:
  template:
    spec:
      containers: [{ name: web, image: registry.example/shop/web }]
";

pub(crate) const DASHBOARD: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: { name: dashboard }
data: { panel: '1' }
";

pub(crate) fn pin(name: &str, digit: &str) -> ImagePin {
    ImagePin {
        repository: format!("registry.example/shop/{name}").try_into().unwrap(),
        tag: Some(format!("main-{}", digit.repeat(7)).try_into().unwrap()),
        digest: format!("sha256:{}", digit.repeat(64)).try_into().unwrap(),
    }
}

pub(crate) fn service(name: &str, image: Option<ImagePin>, files: &[(&str, &str)]) -> RenderService {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    RenderService { name: name.try_into().unwrap(), image, files, namespace_rule: None }
}

pub(crate) fn request(services: Vec<RenderService>) -> RenderRequest {
    RenderRequest {
        environment: "staging".to_owned(),
        namespace: "shop-staging".to_owned(),
        namespace_rule: NamespaceRule { foreign: ForeignNamespace::Refuse, ..NamespaceRule::default() },
        leftovers: LeftoverRule::List,
        release: format!("sha256:{}", "a".repeat(64)),
        lock: format!("sha256:{}", "b".repeat(64)).try_into().unwrap(),
        commit: "c".repeat(40).try_into().unwrap(),
        services,
        other_images: Vec::new(),
        not_deployed: vec![NotDeployed { name: "reports".try_into().unwrap(), reason: "not ready".to_owned() }],
    }
}

pub(crate) fn shop() -> RenderRequest {
    request(vec![
        service("cart", Some(pin("cart", "1")), &[("cart.yaml", CART), ("README.md", "# cart\n")]),
        service("dashboard", None, &[("board.yml", DASHBOARD)]),
        service("web", Some(pin("web", "2")), &[("deploy/web.yaml", WEB)]),
    ])
}

/// A request with one more file in the cart's folder.
pub(crate) fn with_file(path: &str, text: &str) -> RenderRequest {
    let mut request = shop();
    request.services[0].files.push((path.to_owned(), text.as_bytes().to_vec()));
    request
}

pub(crate) fn planned(request: &RenderRequest) -> Plan {
    plan(request, None).unwrap_or_else(|problems| panic!("{}", lines(&problems)))
}

pub(crate) fn tree(request: &RenderRequest) -> RenderedTree {
    planned(request).tree()
}

pub(crate) fn refused(request: &RenderRequest) -> String {
    lines(&plan(request, None).unwrap_err())
}

fn lines(problems: &[PlanProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

pub(crate) fn text<'a>(tree: &'a RenderedTree, path: &str) -> &'a str {
    let bytes = tree.files.get(path).unwrap_or_else(|| panic!("{path} is among {:?}", tree.files.keys()));
    std::str::from_utf8(bytes).unwrap()
}
