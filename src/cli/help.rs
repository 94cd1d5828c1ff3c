//! What the flags that only print something print: usage, a manual page, completion scripts (SPEC 11.1).

use argh::FromArgs;

use super::flags::{Flags, kebab, rules};
use super::limits;

/// A text to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Usage,
    Man,
    Bash,
    Zsh,
}

/// The text of a kind for a program started under this name.
pub(super) fn text(program: &str, kind: Text) -> String {
    match kind {
        Text::Usage => usage(program),
        Text::Man => man(program),
        Text::Bash => bash(program),
        Text::Zsh => format!(
            "#compdef {program}\nautoload -U compinit && compinit\nautoload -U bashcompinit && bashcompinit\n\n{}",
            bash(program)
        ),
    }
}

/// argh's text with the flags spelled as they are given. A dot is as wide as a dash, so columns stay in place.
fn usage(program: &str) -> String {
    let mut text = match Flags::from_args(&[program], &["--help"]) {
        Err(exit) => exit.output,
        Ok(_) => String::new(),
    };
    for rule in rules() {
        text = text.replace(&kebab(rule.name), &format!("--{}", rule.name));
    }
    // argh's first paragraph is one line with all flags, which the list below says better.
    let list = text.split_once("\n\n").map_or("", |(_, list)| list).trim_end();
    format!("usage: {program} [<flags>]\n\n{list}")
        + "\n  --version         display the version and how it was built\n\n"
        + &limits::usage()
        + "\nFlags without a value are switched off by --no-NAME. @FILE stands for the lines of FILE.\n"
}

fn man(program: &str) -> String {
    let usage = usage(program).replace('\\', "\\e").replace('-', "\\-");
    format!(
        ".TH {program} 1\n.SH NAME\n{program} \\- serves metrics that batch jobs push\n.SH SYNOPSIS\n.B {program}\n\
         [flags]\n.SH DESCRIPTION\n.nf\n{usage}.fi\n"
    )
}

fn bash(program: &str) -> String {
    let function = format!("_{program}_bash_autocomplete");
    format!(
        "\n{function}() {{\n    local cur opts\n    COMPREPLY=()\n    cur=\"${{COMP_WORDS[COMP_CWORD]}}\"\n    \
         opts=$( ${{COMP_WORDS[0]}} --completion-bash ${{COMP_WORDS[@]:1:$COMP_CWORD}} )\n    \
         COMPREPLY=( $(compgen -W \"${{opts}}\" -- ${{cur}}) )\n    return 0\n}}\n\
         complete -F {function} {program}\n\n"
    )
}

/// The words that the completion scripts ask for: every flag, one a line.
pub(super) fn completion_words() -> String {
    let names = ["help", "version"].into_iter().chain(rules().map(|rule| rule.name));
    names.map(|name| format!("--{name}\n")).collect()
}
